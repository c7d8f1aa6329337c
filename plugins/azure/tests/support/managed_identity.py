"""A managed-identity endpoint on loopback, so that tests use the real ``DefaultAzureCredential``.

It answers as App Service's does (https://learn.microsoft.com/en-us/azure/app-service/overview-managed-identity), and
its tokens are JWTs that the simulator of Resource Manager, and Azurite with ``--oauth basic``, accept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, Final, Self

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

HEADER: Final = "managed-identity-header"
TENANT: Final = "00000000-0000-0000-0000-00000000000e"
PRINCIPAL: Final = "00000000-0000-0000-0000-0000000000d1"
_KEY: Final = b"signs tokens of tests, and is valid nowhere else"


class ManagedIdentity:
    """Gives tokens to whoever sends its header; use it with ``async with``.

    Attributes:
        life_s: Seconds a token is good for.
        refuses: Answer 400, as where no identity is assigned.
        issued: How many tokens it gave.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.life_s = 24 * 3600
        self.refuses = False
        self.issued = 0
        self._server = LoopbackServer(self._answer, port=port)

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.__aexit__(*exc)

    @property
    def environment(self) -> dict[str, str]:
        """What points Azure's library here."""
        return {"IDENTITY_ENDPOINT": f"{self._server.url}/msi/token", "IDENTITY_HEADER": HEADER}

    async def _answer(self, request: ReceivedRequest) -> Answer:
        self._server.requests.clear()
        asked = {name: values[-1] for name, values in request.query.items()}
        if request.headers.get("x-identity-header") != HEADER or not asked.get("resource"):
            return Answer(401, b'{"statusCode":401,"message":"no such identity"}')
        if self.refuses:
            return Answer(400, b'{"statusCode":400,"message":"No User Assigned or Delegated Managed Identity found"}')
        self.issued += 1
        document = {
            "access_token": token_for(asked["resource"], life_s=self.life_s, serial=self.issued),
            "expires_on": str(int(time.time()) + self.life_s),
            "resource": asked["resource"],
            "token_type": "Bearer",
            "client_id": asked.get("client_id", PRINCIPAL),
        }
        return Answer(200, json.dumps(document).encode(), {"Content-Type": "application/json"})


def token_for(audience: str, *, life_s: float = 3600, serial: int = 0) -> str:
    """A token."""
    now = time.time()
    claims = {
        "aud": audience.rstrip("/"),
        "iss": f"https://sts.windows.net/{TENANT}/",
        "oid": PRINCIPAL,
        "iat": int(now),
        "nbf": int(now) - 60,
        "exp": int(now + life_s),
        "serial": serial,
    }
    signed = f"{_encoded({'alg': 'HS256', 'typ': 'JWT'})}.{_encoded(claims)}"
    return f"{signed}.{_signature(signed)}"


def claims_of(token: str) -> Mapping[str, Any] | None:
    """What a token says; None when it is none of ours, or has ended."""
    signed, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature, _signature(signed)):
        return None
    body = signed.partition(".")[2]
    claims: Mapping[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return claims if claims["exp"] > time.time() else None


def _encoded(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _signature(signed: str) -> str:
    digest = hmac.digest(_KEY, signed.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
