"""The simulator itself: other tests drive it from a thread or a process of its own."""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path

import arm_simulator
import pytest
from arm_rig import isolated_identity
from arm_simulator import arm_in_a_thread
from arm_world import SUBSCRIPTION, container_group
from managed_identity import HEADER, token_for
from parts import free_port, running
from scanguard_azure.arm.config import AzureConfig
from scanguard_azure.arm.platform import AzurePlatform

from scanguard.http import HttpFactory
from scanguard.testing.contexts import make_context


def bearer(audience: str = arm_simulator.AUDIENCE) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_for(audience)}"}


@pytest.mark.parametrize(
    ("headers", "path", "status"),
    [
        ({}, f"/subscriptions/{SUBSCRIPTION}?api-version=2022-12-01", 401),
        (bearer("https://vault.azure.net"), f"/subscriptions/{SUBSCRIPTION}?api-version=2022-12-01", 401),
        ({"Authorization": "Bearer a.b.c"}, f"/subscriptions/{SUBSCRIPTION}?api-version=2022-12-01", 401),
        (bearer(), f"/subscriptions/{SUBSCRIPTION}", 400),
        (bearer(), f"/subscriptions/{SUBSCRIPTION}?api-version=latest", 400),
        (bearer(), f"/subscriptions/{SUBSCRIPTION}?api-version=2022-12-01", 200),
        (bearer(), "/subscriptions/other?api-version=2022-12-01", 404),
    ],
)
async def test_it_refuses_what_azure_refuses(headers: dict[str, str], path: str, status: int) -> None:
    with arm_in_a_thread() as arm:
        async with HttpFactory(ca_file=arm.ca_file).client(attempts=1) as client:
            assert (await client.get(arm.url + path, headers=headers)).status_code == status


async def test_it_speaks_tls_with_its_own_certificate_only() -> None:
    with arm_in_a_thread() as arm:
        context = ssl.create_default_context(cafile=str(arm.ca_file))
        assert context.get_ca_certs()


async def test_a_process_of_its_own_is_changed_and_read_over_http(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, identity_port, ca_file = free_port(), free_port(), tmp_path / "ca.pem"
    command = [sys.executable, arm_simulator.__file__, "--port", str(port), "--ca-file", str(ca_file)]
    command += ["--identity-port", str(identity_port)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    isolated_identity(monkeypatch, {"IDENTITY_ENDPOINT": f"http://127.0.0.1:{identity_port}/msi/token"})
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    group = container_group("api", "nginx")
    with running(command, port=identity_port, log=tmp_path / "arm.log", env=environment):
        factory = HttpFactory(ca_file=ca_file)
        url = f"https://127.0.0.1:{port}"
        config = AzureConfig.model_validate({"subscriptions": [SUBSCRIPTION], "management_url": url})
        platform = AzurePlatform(config, make_context(tmp_path, http=factory))
        async with factory.client(attempts=1) as client:
            control = f"{url}{arm_simulator.CONTROL}"
            assert await platform.describe(group["id"]) is None
            assert (await client.put(f"{control}world{group['id']}", json=group)).status_code == 200
            assert await platform.describe(group["id"]) is not None
            assert (await client.delete(f"{control}world{group['id']}")).status_code == 200
            assert await platform.describe(group["id"]) is None
            assert (await client.put(f"{control}faults", json=[{"status": 500}])).status_code == 200
            state = (await client.get(f"{control}state")).json()
        await platform.aclose()
    assert state["statuses"] == {"200": 1, "404": 2}
