"""Ask a token server for a token that opens one repository for reading."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import urlencode, urlsplit

from scanguard import http
from scanguard.errors import RegistryAuthError, RegistryError, RegistryRefusedError, RegistryUnavailableError
from scanguard.oci.answers import error_for, registry_errors
from scanguard.oci.credentials import RegistryCredential
from scanguard.oci.hosts import origin_of

MAX_TOKEN_ANSWER_BYTES: Final = 1 << 20
DEFAULT_EXPIRES_IN_S: Final = 60.0
MAX_EXPIRES_IN_S: Final = 24 * 3600.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a token is asked, and kept, for."""

    registry: str
    realm: str
    service: str
    scope: str
    credential: RegistryCredential | None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything secret that is sent, to hide it where a server repeats it."""
        credential = self.credential
        given = (credential.password, credential.identity_token) if credential else ()
        plain = [secret.get_secret_value() for secret in given if secret]
        basic = [basic_header(credential.username, value).removeprefix("Basic ") for value in plain if credential]
        return (*plain, *basic)


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token and how many seconds it is good for."""

    value: str = field(repr=False)
    expires_in_s: float = DEFAULT_EXPIRES_IN_S


class TokenClient:
    """Talks to token servers."""

    def __init__(self, client: http.AsyncClient, timeout_s: float, now: Callable[[], datetime]) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._now = now

    async def fetch(self, request: TokenRequest) -> Token:
        """Get a token: by GET, anonymous or with user and password, or by POST with an identity token.

        Raises RegistryAuthError (refused), RegistryThrottledError, RegistryUnavailableError (unreachable, late,
        5xx), RegistryRefusedError (address), RegistryError (an answer that holds no token).
        """
        where = f"the token server {origin_of(request.realm)} of {request.registry}"
        with registry_errors(where, request.registry):
            async with http.deadline(self._timeout_s, lambda: self._late(where, request)):
                status, data = await self._ask(request, where)
        if status in (400, 401, 403, 404):
            raise RegistryAuthError(
                f"{where} refuses {_who(request)} ({status}); the image may be private, or not exist",
                target=request.registry,
            )
        return _parse(data, where, request)

    async def _ask(self, request: TokenRequest, where: str) -> tuple[int, bytes]:
        credential = request.credential
        query = {"service": request.service, "scope": request.scope}
        url = request.realm
        if credential is not None and credential.identity_token is not None:
            form = query | {
                "client_id": "scanguard",
                "grant_type": "refresh_token",
                "refresh_token": credential.identity_token.get_secret_value(),
            }
            outgoing = self._client.build_request("POST", url, data=form)
        else:
            headers = {}
            if credential is not None and credential.password is not None:
                headers["Authorization"] = basic_header(credential.username, credential.password.get_secret_value())
            given = {name: value for name, value in query.items() if value}
            url = f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(given)}"
            outgoing = self._client.build_request("GET", url, headers=headers)
        if origin_of(str(outgoing.url)) != origin_of(request.realm):
            # two readers of URLs disagree about the host, and only one of them was checked
            raise RegistryRefusedError(f"{where} is not used: its URL is ambiguous", target=request.registry)
        response = await self._client.send(outgoing, stream=True)
        try:
            if response.status_code not in (200, 400, 401, 403, 404):
                raise await error_for(response, where, request.registry, self._now(), request.secrets)
            return response.status_code, await http.read_capped(
                response, MAX_TOKEN_ANSWER_BYTES, lambda: _no_token(where, request)
            )
        finally:
            await response.aclose()

    def _late(self, where: str, request: TokenRequest) -> RegistryUnavailableError:
        return RegistryUnavailableError(f"{where} did not answer within {self._timeout_s:g} s", target=request.registry)


def basic_header(username: str, password: str) -> str:
    """The ``Authorization`` header of RFC 7617, in UTF-8."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def _who(request: TokenRequest) -> str:
    return (
        "the configured credentials" if request.credential else "anonymous readers, and no credentials are configured"
    )


def _parse(data: bytes, where: str, request: TokenRequest) -> Token:
    """Read ``{"token" or "access_token", "expires_in"}``; a missing life time means 60 s."""
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise _no_token(where, request) from exc
    if not isinstance(answer, dict):
        raise _no_token(where, request)
    value = answer.get("token") or answer.get("access_token")
    if not isinstance(value, str) or _TOKEN.fullmatch(value) is None:
        raise _no_token(where, request)
    lifetime = answer.get("expires_in")
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not 0 < lifetime < float("inf"):
        lifetime = DEFAULT_EXPIRES_IN_S
    return Token(value, float(min(lifetime, MAX_EXPIRES_IN_S)))


def _no_token(where: str, request: TokenRequest) -> RegistryError:
    return RegistryError(f"{where} answered something that holds no token", target=request.registry)
