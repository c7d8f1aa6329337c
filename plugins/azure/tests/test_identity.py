"""Which managed identity is asked for."""

from __future__ import annotations

import json
import time

import pytest
from scanguard_azure.identity import Identity, IdentityConfig

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

ONE, OTHER = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"


@pytest.mark.parametrize(
    ("configured", "environment", "asked"),
    [
        pytest.param(None, None, None, id="the-system-assigned-one"),
        pytest.param(None, ONE, ONE, id="the-one-that-AZURE_CLIENT_ID-names"),
        pytest.param(OTHER, None, OTHER, id="the-one-that-is-configured"),
        pytest.param(OTHER, ONE, OTHER, id="the-configuration-counts-more"),
    ],
)
async def test_the_identity_that_is_named_gives_the_token(
    monkeypatch: pytest.MonkeyPatch, configured: str | None, environment: str | None, asked: str | None
) -> None:
    async def answer(request: ReceivedRequest) -> Answer:
        token = {
            "access_token": "t",
            "expires_on": str(int(time.time()) + 3600),
            "resource": "r",
            "token_type": "Bearer",
        }
        return Answer(200, json.dumps(token).encode(), {"Content-Type": "application/json"})

    async with LoopbackServer(answer) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{server.url}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "x")
        monkeypatch.delenv("AZURE_CLIENT_ID", raising=False)
        if environment is not None:
            monkeypatch.setenv("AZURE_CLIENT_ID", environment)
        identity = Identity(IdentityConfig(client_id=configured))
        try:
            await identity.token("https://vault.azure.net/.default")
        finally:
            await identity.aclose()
    (request,) = server.requests
    assert request.query.get("client_id") == (None if asked is None else [asked])
