"""The front of an Azure container registry: ``/oauth2/exchange`` and ``/oauth2/token``; all else goes to a registry.

https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md. With a real registry behind it (``backend``), its tokens are
what that registry checks.
"""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Callable
from typing import Any, Final, Self

import httpx
from managed_identity import claims_of

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

AUDIENCES: Final = {"https://containerregistry.azure.net"}
USER: Final = "00000000-0000-0000-0000-000000000000"
JSON: Final = {"Content-Type": "application/json; charset=utf-8"}
_HOP: Final = {"host", "connection", "transfer-encoding", "content-length"}


class AcrFront:
    """Every login server; ``members`` may be read by whoever has our tenant's token.

    Attributes:
        answer: Sent instead to an exchange.
        life_s: Seconds a refresh token is good for.
        exchanged: Hosts that exchanged a token, in order.
        seen: Method and path of all other requests.
        violations: What clients did against the rules.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        members: set[str],
        *,
        backend: str = "",
        issue: Callable[[str, str], str] | None = None,
        service: str = "",
    ) -> None:
        self.members = members
        self.server = LoopbackServer(self._answer, tls=tls)
        self.answer: Answer | None = None
        self.audiences = set(AUDIENCES)
        self.life_s = 3 * 3600
        self.exchanged: list[str] = []
        self.seen: list[tuple[str, str]] = []
        self.violations: list[str] = []
        self._backend = backend
        self._issue = issue
        self._service = service
        self._tokens: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.server.__aexit__(*exc)

    async def _answer(self, request: ReceivedRequest) -> Answer:
        host = request.headers.get("host", "")
        if request.path == "/oauth2/exchange":
            return self._exchange(request, host)
        self.seen.append((request.method, request.path))
        if request.path == "/oauth2/token":
            return self._token(request, host)
        return await self._forward(request)

    def _exchange(self, request: ReceivedRequest, host: str) -> Answer:
        self.exchanged.append(host)
        form = request.form if request.method == "POST" else {}
        if form.get("grant_type") != "access_token" or form.get("service") != host:
            self.violations.append(f"{request.method} with {sorted(form)} for {form.get('service')!r} at {host}")
            return denied(400)
        if self.answer is not None:
            return self.answer
        claims = claims_of(form.get("access_token", ""))
        if host not in self.members or claims is None or claims["aud"] not in self.audiences:
            return denied(401)
        token = self._refresh_token(host)
        return Answer(200, json.dumps({"refresh_token": token}).encode(), JSON)

    def _refresh_token(self, host: str) -> str:
        body = json.dumps({"aud": host, "exp": int(time.time()) + self.life_s, "jti": str(len(self.exchanged))})
        token = f"eyJhbGciOiJSUzI1NiJ9.{base64.urlsafe_b64encode(body.encode()).decode().rstrip('=')}.c2lnbmVk"
        self._tokens[token] = host
        return token

    def _token(self, request: ReceivedRequest, host: str) -> Answer:
        """By POST with the refresh token, or by GET where it is the password of a user that is all zeros."""
        asked: dict[str, Any] = request.form
        given = asked.get("refresh_token", "") if asked.get("grant_type") == "refresh_token" else ""
        if request.method == "GET":
            asked = {name: values[-1] for name, values in request.query.items()}
            user, _, given = _basic(request.headers.get("authorization", ""))
            given = given if user == USER else ""
        if self._tokens.get(given) != host or self._issue is None or asked.get("service") != self._service:
            return denied(401)
        token = self._issue("identity", str(asked.get("scope", "")))
        return Answer(200, json.dumps({"access_token": token}).encode(), JSON)

    async def _forward(self, request: ReceivedRequest) -> Answer:
        if not self._backend:
            return denied(404)
        headers = {name: value for name, value in request.headers.items() if name not in _HOP}
        async with httpx.AsyncClient(base_url=self._backend, trust_env=False, timeout=30) as client:
            got = await client.request(request.method, request.target, headers=headers, content=request.body)
        kept = {name: value for name, value in got.headers.items() if name.lower() not in _HOP}
        return Answer(got.status_code, got.content, kept)


def denied(status: int, code: str = "UNAUTHORIZED", **headers: str) -> Answer:
    """An error in the form of the distribution API; careless registries repeat what they were sent."""
    said = {"errors": [{"code": code, "message": "authentication required, visit https://aka.ms/acr/authorization"}]}
    return Answer(status, json.dumps(said).encode(), {**JSON, **headers})


def _basic(header: str) -> tuple[str, str, str]:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return "", "", ""
    return base64.b64decode(value).decode().partition(":")
