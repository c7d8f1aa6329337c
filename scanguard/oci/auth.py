"""Answer a registry's challenge: basic credentials, or a bearer token from its token server.

Facts: https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from weakref import WeakValueDictionary

from scanguard.errors import RegistryAuthError, RegistryRefusedError
from scanguard.oci.challenges import Challenge
from scanguard.oci.credentials import CredentialSource, RegistryCredential
from scanguard.oci.hosts import Endpoint, host_of, origin_of
from scanguard.oci.settings import RegistrySettings
from scanguard.oci.tokens import TokenClient, TokenRequest, basic_header

_MAX_KEPT = 512
_K = TypeVar("_K")


class Clock(Protocol):
    """Time, so that tests can own it."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""


@dataclass(frozen=True, slots=True)
class Place:
    """What an ``Authorization`` header is for: one repository at one origin (``scheme://host[:port]``).

    ``endpoint`` is the registry that led there. Its credentials are used only when the origin is its own.
    """

    endpoint: Endpoint
    origin: str
    repository: str

    @property
    def is_own(self) -> bool:
        """True at the registry itself, False where it redirected to."""
        return self.origin == origin_of(self.endpoint.base)


@dataclass(frozen=True, slots=True)
class _Header:
    value: str = field(repr=False)
    expires_at: datetime | None = None

    def is_fresh(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


class RegistryAuthenticator:
    """Keeps, per place, the header that was accepted, and gets a new one when a registry asks for it.

    A header is only ever given for the origin whose challenge it answered, so a redirect cannot carry it away.
    """

    def __init__(
        self, tokens: TokenClient, credentials: CredentialSource, settings: RegistrySettings, clock: Clock
    ) -> None:
        self._tokens = tokens
        self._credentials = credentials
        self._settings = settings
        self._clock = clock
        self._by_place: OrderedDict[Place, _Header] = OrderedDict()
        self._by_request: OrderedDict[TokenRequest, _Header] = OrderedDict()
        self._locks: WeakValueDictionary[Place, asyncio.Lock] = WeakValueDictionary()

    def known(self, place: Place) -> str | None:
        """The header to send at once, or None to wait for the challenge."""
        header = self._by_place.get(place)
        return header.value if header and header.is_fresh(self._clock.now()) else None

    async def answer(self, place: Place, challenges: Sequence[Challenge], rejected: str | None) -> str:
        """Get a header for a challenge; ``rejected`` is the one that was just refused.

        Raises RegistryAuthError (nothing to answer with, or the token server refuses), RegistryRefusedError
        (a token server that may not be asked), and what TokenClient raises.
        """
        # Many layers are asked for at once, and one token serves them all; a slow server holds up only its own.
        lock = self._locks.setdefault(place, asyncio.Lock())
        async with lock:
            known = self.known(place)
            if known is not None and known != rejected:
                return known
            credential = None
            if place.is_own:
                credential = await self._credentials.credential(place.endpoint.registry)
            header = await self._answer(place, challenges, credential, rejected)
            _keep(self._by_place, place, header)
            return header.value

    async def _answer(
        self, place: Place, challenges: Sequence[Challenge], credential: RegistryCredential | None, rejected: str | None
    ) -> _Header:
        bearer = next((c for c in challenges if c.scheme == "bearer" and c.parameters.get("realm")), None)
        if bearer is not None:
            return await self._bearer(place, bearer, credential, rejected)
        if any(challenge.scheme == "basic" for challenge in challenges):
            return _basic(place, credential)
        raise RegistryAuthError(
            f"{place.endpoint.registry} asks for an authentication that is neither Basic nor Bearer",
            target=place.endpoint.registry,
        )

    async def _bearer(
        self, place: Place, challenge: Challenge, credential: RegistryCredential | None, rejected: str | None
    ) -> _Header:
        realm = challenge.parameters["realm"]
        check_realm(place, realm, self._settings, has_credential=credential is not None)
        request = TokenRequest(
            place.endpoint.registry,
            realm,
            challenge.parameters.get("service", ""),
            _scope(place, challenge),
            credential,
        )
        kept = self._by_request.get(request)
        if kept and kept.value != rejected and kept.is_fresh(self._clock.now()):
            return kept
        asked_at = self._clock.now()
        token = await self._tokens.fetch(request)
        margin_s = min(10.0, token.expires_in_s / 10)  # the token must still be good when it arrives
        header = _Header(f"Bearer {token.value}", asked_at + timedelta(seconds=token.expires_in_s - margin_s))
        _keep(self._by_request, request, header)
        return header


def check_realm(place: Place, realm: str, settings: RegistrySettings, *, has_credential: bool) -> None:
    """Refuse a token server that the registry may not send us to; RegistryRefusedError says why.

    https, or plain http where the configuration allows it for that host; no user in the URL; the registry's
    own host, or the one pinned for it, wherever there is a pin or a credential to lose. Whether its *address*
    is allowed is checked when the connection is made.
    """
    registry = place.endpoint.registry
    try:
        scheme, _, authority = origin_of(realm).partition("://")
    except ValueError as exc:
        raise _refused(registry, "its token server is no http or https URL") from exc
    if "@" in realm.partition("://")[2].partition("/")[0]:
        raise _refused(registry, f"the URL of its token server {authority} carries a user")
    if scheme == "http" and not settings.is_insecure(authority):
        raise _refused(
            registry,
            f"its token server {authority} speaks plain http; list {authority} under registries.insecure "
            f"(--insecure-registry {authority}) to allow that",
        )
    if not place.is_own:
        return
    pinned = place.endpoint.realm
    trusted = {host_of(place.endpoint.base), place.endpoint.host, pinned}
    if (pinned or has_credential) and not trusted & {host_of(realm), authority}:
        raise _refused(
            registry,
            f"its token server {authority} is another host, which gets no credentials; if it is the right one, set "
            f"registries.realms: {{{registry}: {authority}}}",
        )


def _refused(registry: str, why: str) -> RegistryRefusedError:
    return RegistryRefusedError(f"{registry} is not used: {why}", target=registry)


def _scope(place: Place, challenge: Challenge) -> str:
    """What to ask for: pull and nothing more, of the repository that was asked for.

    A scope of another form (``aws`` at public.ecr.aws) is the registry's own business and passed on.
    """
    scope = challenge.parameters.get("scope", "")
    if scope and not scope.startswith("repository:"):
        return scope
    repository = place.repository
    if scope and not place.is_own:  # a redirect leads to a repository of another name
        repository = scope.removeprefix("repository:").rpartition(":")[0] or repository
    return f"repository:{repository}:pull"


def _basic(place: Place, credential: RegistryCredential | None) -> _Header:
    if credential is None or credential.password is None:
        raise RegistryAuthError(
            f"{place.endpoint.registry} wants a user and a password, and none are configured for it",
            target=place.endpoint.registry,
        )
    return _Header(basic_header(credential.username, credential.password.get_secret_value()))


def _keep(store: OrderedDict[_K, _Header], key: _K, value: _Header) -> None:
    store[key] = value
    store.move_to_end(key)
    if len(store) > _MAX_KEPT:
        store.popitem(last=False)
