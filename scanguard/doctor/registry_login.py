"""Logs in to a registry as ``docker login`` does, and says how that went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scanguard.doctor.host import DoctorHost
from scanguard.engine.guard import call_plugin
from scanguard.errors import RegistryAuthError
from scanguard.oci.auth import Place, check_realm
from scanguard.oci.challenges import Challenge, parse_challenges
from scanguard.oci.credentials import CredentialSource, RegistryCredential
from scanguard.oci.hosts import Endpoint, origin_of
from scanguard.oci.tokens import TokenClient, TokenRequest, basic_header
from scanguard.telemetry.secrets import conceal

if TYPE_CHECKING:
    from scanguard.http import AsyncClient

SOURCE_TIMEOUT_S: Final = 8.0


@dataclass(frozen=True, slots=True)
class Login:
    """How it went; ``is_sure`` is False where a refusal may have another reason than the credentials."""

    is_accepted: bool
    has_credential: bool
    detail: str
    is_sure: bool = True


async def log_in(
    client: AsyncClient, endpoint: Endpoint, host: DoctorHost, challenge_headers: Sequence[str], timeout_s: float
) -> Login:
    """Answer a registry's challenge; raises RegistryError when no answer can be given or the token server fails."""
    challenges = parse_challenges(", ".join(challenge_headers))
    credential = await credential_for(host, endpoint.registry)
    bearer = next((one for one in challenges if one.scheme == "bearer" and one.parameters.get("realm")), None)
    if bearer is not None:
        request = _token_request(endpoint, host, bearer, credential)
        return await _bearer(client, endpoint, TokenClient(client, timeout_s, host.clock.now), request)
    if not any(one.scheme == "basic" for one in challenges):
        raise RegistryAuthError("it answers 401 and does not say how to log in, or in no way that is known here")
    if credential is None or credential.password is None:
        return Login(False, False, "it wants a user and a password, and none are configured")
    header = basic_header(credential.username, credential.password.get_secret_value())
    return await _tried(client, endpoint, header)


async def credential_for(host: DoctorHost, registry: str) -> RegistryCredential | None:
    """What the first source knows, lowest priority number first; RegistryAuthError from a source that is broken."""
    for name, source in host.credential_sources():
        found = await call_plugin(
            _asked(source, registry),
            plugin=name,
            what="credential",
            timeout_s=SOURCE_TIMEOUT_S,
            timeout_error=RegistryAuthError,
            returns=(RegistryCredential, type(None)),
        )
        if found is not None:
            for secret in filter(None, (found.password, found.identity_token)):
                conceal(secret.get_secret_value())
            return found
    return None


async def _asked(source: CredentialSource, registry: str) -> RegistryCredential | None:
    return await source.credential(registry)


def _token_request(
    endpoint: Endpoint, host: DoctorHost, challenge: Challenge, credential: RegistryCredential | None
) -> TokenRequest:
    realm = challenge.parameters["realm"]
    place = Place(endpoint, origin_of(endpoint.base), "")
    check_realm(place, realm, host.registries, has_credential=credential is not None)
    service = challenge.parameters.get("service", "")
    return TokenRequest(endpoint.registry, realm, service, _scope(challenge), credential)


async def _bearer(client: AsyncClient, endpoint: Endpoint, tokens: TokenClient, request: TokenRequest) -> Login:
    credential = request.credential
    try:
        token = await tokens.fetch(request)
    except RegistryAuthError as exc:
        # An identity token may be refused only because no repository is named.
        is_sure = credential is None or credential.identity_token is None
        return Login(False, credential is not None, _without_guess(exc), is_sure)
    if credential is None:
        return Login(True, False, "reached; no credentials are configured, and it lets anonymous readers in")
    return await _tried(client, endpoint, f"Bearer {token.value}")


async def _tried(client: AsyncClient, endpoint: Endpoint, header: str) -> Login:
    async with client.stream("GET", f"{endpoint.base}/v2/", headers={"Authorization": header}) as answer:
        if answer.status_code == 200:
            return Login(True, True, "reached; it accepts the configured credentials")
        is_sure = answer.status_code in (401, 403)
        return Login(False, True, f"it answers the configured credentials with {answer.status_code}", is_sure)


def _scope(challenge: Challenge) -> str:
    """None, as for a login; a scope that names no repository is the registry's own business and passed on."""
    scope = challenge.parameters.get("scope", "")
    return "" if scope.startswith("repository:") else scope


def _without_guess(error: RegistryAuthError) -> str:
    return error.message.partition("; the image may")[0]
