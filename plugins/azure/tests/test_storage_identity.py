"""Signing in by a managed identity, over TLS: a real Azurite that wants tokens, and the endpoint that gives them.

The emulator looks at a token's shape, audience, issuer and times, and not at its signature or at roles.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from azurite import Azurite, azurite_command, free_azurite
from parts import running

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]
HEADER = "only this host knows it"
CLIENT_ID = "11111111-2222-3333-4444-555555555555"
RESOURCE = "https://storage.azure.com"
CONFIG = """\
version: 1
backend:
  plugin: azure_storage
  account: devstoreaccount1
  client_id: {client_id}
  blob_endpoint: https://127.0.0.1:{blob}/devstoreaccount1
  queue_endpoint: https://127.0.0.1:{queue}/devstoreaccount1
  table_endpoint: https://127.0.0.1:{table}/devstoreaccount1
  {more}
chains: {{default: {{}}}}
"""


@dataclass(frozen=True)
class Emulator:
    """Where it answers, and whom to trust for it."""

    where: Azurite
    ca_file: Path


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    folder = tmp_path_factory.mktemp("azurite")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
    where = free_azurite()
    secured = ["--oauth", "basic", "--cert", str(folder / "cert.pem"), "--key", str(folder / "key.pem")]
    with running([*azurite_command(where), *secured], port=where.table_port, log=folder / "azurite.log"):
        yield Emulator(where, folder / "ca.pem")


def token(audience: str) -> str:
    """A token as Entra's are, with a signature that nobody could check."""
    now = int(time.time())
    claims = {
        "aud": audience,
        "iss": "https://sts.windows.net/tenant/",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + 3600,
    }
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    text = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join((*text, base64.urlsafe_b64encode(b"no signature").rstrip(b"=").decode()))


class Host:
    """What gives an App Service or Functions app its tokens."""

    def __init__(self) -> None:
        self.audience = RESOURCE
        self.asked: list[tuple[str, str]] = []

    async def answer(self, request: ReceivedRequest) -> Answer:
        assert request.headers["x-identity-header"] == HEADER
        (resource,) = request.query["resource"]
        self.asked.append((resource, request.query.get("client_id", [""])[0]))
        given = {
            "access_token": token(self.audience),
            "expires_on": str(int(time.time()) + 3600),
            "resource": resource,
            "token_type": "Bearer",
        }
        return Answer(200, json.dumps(given).encode(), {"Content-Type": "application/json"})


@pytest.fixture
async def host() -> AsyncIterator[tuple[Host, str]]:
    made = Host()
    async with LoopbackServer(made.answer) as server:
        yield made, f"{server.url}/msi/token"


async def doctor(
    folder: Path, emulator: Emulator, endpoint: str, more: str = "create: true"
) -> dict[str, dict[str, str]]:
    """What the doctor says of the backend, by subject."""
    where = emulator.where
    ports = {"blob": where.blob_port, "queue": where.queue_port, "table": where.table_port}
    config = folder / "scanguard.yaml"
    await asyncio.to_thread(config.write_text, CONFIG.format(client_id=CLIENT_ID, more=more, **ports))
    identity = {"IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": HEADER, "SSL_CERT_FILE": str(emulator.ca_file)}
    program = str(Path(sys.executable).with_name("scanguard"))
    arguments = [
        "--config",
        str(config),
        "--data-dir",
        str(folder / "data"),
        "doctor",
        "--only",
        "data",
        "--only",
        "queue",
    ]
    child = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        *("--format", "json"),
        env={**os.environ, **identity},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await child.communicate()
    assert token(RESOURCE)[:40] not in out.decode() + err.decode()
    return {check["subject"]: check for check in json.loads(out)["checks"]}


async def test_a_managed_identity_opens_the_account_over_tls(
    tmp_path: Path, emulator: Emulator, host: tuple[Host, str]
) -> None:
    checks = await doctor(tmp_path, emulator, host[1])
    assert checks["backend"]["status"] == "ok", checks
    assert checks["lane fresh"]["detail"] == "empty", checks
    assert set(host[0].asked) == {(RESOURCE, CLIENT_ID)}


async def test_what_the_deployment_should_have_made_is_named_with_its_role(
    tmp_path: Path, emulator: Emulator, host: tuple[Host, str]
) -> None:
    checks = await doctor(tmp_path, emulator, host[1], more="table_prefix: Nobody")
    assert checks["backend"]["status"] == "fail"
    assert "table 'NobodyState' is missing" in checks["backend"]["detail"]
    assert "Storage Table Data Contributor" in checks["backend"]["detail"]


async def test_a_token_that_is_not_accepted_is_told_without_it(
    tmp_path: Path, emulator: Emulator, host: tuple[Host, str]
) -> None:
    host[0].audience = "https://vault.azure.net"
    checks = await doctor(tmp_path, emulator, host[1])
    assert checks["backend"]["status"] == "fail"
    assert "cannot be used (403" in checks["backend"]["detail"], checks


async def test_without_an_identity_it_is_said_how_to_get_one(tmp_path: Path, emulator: Emulator) -> None:
    checks = await doctor(tmp_path, emulator, "http://127.0.0.1:1/msi/token")
    assert checks["backend"]["status"] == "fail"
    assert "identity" in checks["backend"]["detail"], checks
