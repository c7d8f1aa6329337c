"""The packaged function app in Azure's own runtime: what the host finds, and an event on its way into the queue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from azurite import azurite
from function_host import function_host
from function_package import Packaged, packaged

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def package() -> Packaged:
    return packaged()


def event(number: int = 1) -> dict[str, object]:
    resource = f"/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/shop/providers/Microsoft.App/containerApps/app{number}"
    return {
        "id": f"event-{number}",
        "topic": "/subscriptions/00000000-0000-0000-0000-000000000001",
        "subject": resource,
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": "2026-03-01T18:38:04.6359418Z",
        "dataVersion": "2",
        "metadataVersion": "1",
        "data": {"resourceUri": resource, "operationName": "Microsoft.App/containerApps/write"},
    }


async def test_an_event_becomes_one_message_of_the_fresh_queue(package: Packaged, tmp_path: Path) -> None:
    with azurite(tmp_path) as storage:
        environ = {
            "AzureWebJobsStorage": storage.connection_string,
            "SCANGUARD_CONFIG": "{version: 1, chains: {default: {}}}",
            "SCANGUARD_DATA_DIR": str(tmp_path / "data"),
        }
        async with function_host(package, environ, tmp_path) as host:
            assert host.worker.indexed["error"] == ""
            print(json.dumps(host.worker.indexed, indent=1))
            assert await host.event(event()), host.worker.log()
            (text,) = await host.waiting("scanguard-fresh")
            assert json.loads(text)["kind"] == "intake"
            print(host.calls)
