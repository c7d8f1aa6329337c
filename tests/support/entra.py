"""A tenant's token service: keys of its own, published over real HTTP, and tokens as Microsoft Entra makes them."""

from __future__ import annotations

import functools
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

TENANT = "11111111-2222-3333-4444-555555555555"
SENDER = "aaaaaaaa-0000-0000-0000-000000000001"
READER = "aaaaaaaa-0000-0000-0000-000000000002"
AUDIENCE = "api://scanguard"


@functools.cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """One key per name and test run: making them is slow."""
    return rsa.generate_private_key(public_exponent=65537, key_size=1024 if name == "short" else 2048)


def public_jwk(name: str) -> dict[str, Any]:
    """A public key as the tenant publishes it."""
    document: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private_key(name).public_key()))
    return {**document, "kid": name, "use": "sig", "x5t": name, "issuer": "x"}


class Tenant:
    """Publishes ``keys`` (names) at the tenant's address; ``answer`` replaces what is published."""

    def __init__(self) -> None:
        self.keys = ["one"]
        self.answer: Answer | None = None
        self.server = LoopbackServer(self._serve)

    async def _serve(self, request: ReceivedRequest) -> Answer:
        assert request.method == "GET"
        assert request.path == f"/{TENANT}/discovery/v2.0/keys"
        assert "authorization" not in request.headers
        if self.answer is not None:
            return self.answer
        return Answer(200, json.dumps({"keys": [public_jwk(name) for name in self.keys]}).encode())

    @property
    def fetches(self) -> int:
        """How often the keys were asked for."""
        return len(self.server.requests)

    def settings(self) -> dict[str, Any]:
        """For ``entra=``."""
        return {
            "tenant": TENANT.upper(),
            "audiences": [AUDIENCE, "cccccccc-0000-0000-0000-000000000003"],
            "applications": [SENDER, {"id": READER, "allow": ["read"]}],
            "authority": self.server.url,
        }

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims of a version 2 token; None leaves one out."""
        now = int(time.time())
        claims = {
            "aud": AUDIENCE,
            "iss": f"{self.server.url}/{TENANT}/v2.0",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "azp": SENDER,
            "tid": TENANT,
            "ver": "2.0",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, key: str = "one", *, kid: str | None = None, **changes: Any) -> str:
        """A signed token."""
        headers = {"kid": kid or key}
        return jwt.encode(self.claims(**changes), private_key(key), algorithm="RS256", headers=headers)


def bearer(token: str) -> dict[str, str]:
    """The headers of a delivery with a token."""
    return {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
