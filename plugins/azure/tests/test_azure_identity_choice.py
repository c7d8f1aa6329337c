"""Which managed identity is asked for, at a managed identity endpoint as App Service has one, on loopback."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from scanguard_azure.identity import Identity, IdentityConfig

APP = "11111111-1111-1111-1111-111111111111"
OTHER = "22222222-2222-2222-2222-222222222222"
SCOPE = "https://vault.example/.default"


@contextmanager
def endpoint() -> Iterator[tuple[str, list[str | None]]]:
    """Its address, and the client ids that tokens were asked for."""
    asked: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            asked.append(query.get("client_id", [None])[0])
            body = {
                "access_token": "t",
                "expires_on": str(int(time.time()) + 3600),
                "resource": "r",
                "token_type": "Bearer",
            }
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/msi/token", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.mark.parametrize(
    ("configured", "in_environment", "expected"),
    [
        pytest.param(None, APP, APP, id="the deployment's, from the environment"),
        pytest.param(OTHER, APP, OTHER, id="the configuration's, before the environment's"),
        pytest.param(None, None, None, id="none: the system-assigned one"),
    ],
)
async def test_the_identity_that_was_named_is_asked_for(
    configured: str | None, in_environment: str | None, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    if in_environment is not None:
        monkeypatch.setenv("AZURE_CLIENT_ID", in_environment)
    with endpoint() as (address, asked):
        monkeypatch.setenv("IDENTITY_ENDPOINT", address)
        monkeypatch.setenv("IDENTITY_HEADER", "x")
        identity = Identity(IdentityConfig(client_id=configured))
        try:
            token = await identity.token(SCOPE)
        finally:
            await identity.aclose()

    assert token.get_secret_value() == "t"
    assert asked == [expected]
