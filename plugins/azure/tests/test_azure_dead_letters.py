"""What Event Grid could not deliver is handed over once it can be, and nothing of it is lost. Needs Azurite."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trustme
from arm_rig import isolated_identity
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob.aio import ContainerClient
from azurite import ACCOUNT, KEY, Azurite, azurite, azurite_command, free_azurite
from managed_identity import ManagedIdentity
from parts import running
from pydantic import ValidationError
from scanguard_azure.acr import accepts_acr, parse_acr
from scanguard_azure.dead_letters import container
from scanguard_azure.dead_letters.config import DeadLetterConfig
from scanguard_azure.dead_letters.container import REJECTED
from scanguard_azure.dead_letters.sweep import DeadLetterSweep
from scanguard_azure.storage_clients import AccountClients

from scanguard.builtin.plugin import scanguard_event_sources
from scanguard.errors import SweepError
from scanguard.hooks import EventSourceSpec, SweepPage
from scanguard.testing.contexts import make_context

pytestmark = pytest.mark.integration

SOURCES = (*scanguard_event_sources(), EventSourceSpec("acr", accepts_acr, parse_acr))
FOLDER = "SCANGUARD-EVENTS/2026/3/1/18"
GROUP = "/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerInstance/containerGroups"


def undelivered(number: int, **more: Any) -> dict[str, Any]:
    """An event as Event Grid leaves it behind."""
    return {
        "id": f"e{number}",
        "topic": "/subscriptions/s",
        "subject": f"{GROUP}/g{number}",
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": "2026-03-01T18:38:04.6117357Z",
        "data": {
            "operationName": "Microsoft.ContainerInstance/containerGroups/write",
            "resourceUri": f"{GROUP}/g{number}",
            "claims": {"name": "Ana Dev"},
        },
        "dataVersion": "2",
        "metadataVersion": "1",
        "deadLetterReason": "MaxDeliveryAttemptsExceeded",
        "deliveryAttempts": 30,
        "lastDeliveryOutcome": "NotFound",
        "publishTime": "2026-03-01T18:38:05Z",
        "lastDeliveryAttemptTime": "2026-03-02T18:38:05Z",
        **more,
    }


class Box:
    """A container, and sweeps over it."""

    def __init__(self, client: ContainerClient, connection_string: str, folder: Path) -> None:
        self.client = client
        self.connection_string = connection_string
        self.folder = folder
        self.sweeps: list[DeadLetterSweep] = []

    async def put(self, name: str, content: Any) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        await self.client.upload_blob(name, data, overwrite=True)

    async def names(self) -> list[str]:
        return sorted([blob.name async for blob in self.client.list_blobs()])

    async def reason(self, name: str) -> str:
        properties = await self.client.get_blob_client(name).get_blob_properties()
        return str(properties.metadata["reason"])

    def sweep(self, **options: Any) -> DeadLetterSweep:
        given = {"retries": 0, "connection_string": "env:STORAGE", "container": self.client.container_name, **options}
        secrets = {"env:STORAGE": self.connection_string, "env:BROKEN": "no connection string; AccountKey=canary"}
        context = make_context(self.folder, secrets=secrets, event_sources=SOURCES)
        self.sweeps.append(DeadLetterSweep(DeadLetterConfig.model_validate(given), context))
        return self.sweeps[-1]

    async def run(self, sweep: DeadLetterSweep) -> list[SweepPage]:
        pages: list[SweepPage] = []
        cursor: str | None = ""
        while cursor is not None:
            assert len(pages) < 50, "it does not end"
            pages.append(await sweep.page(cursor))
            cursor = pages[-1].cursor
        return pages


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as where:
        yield where


@pytest.fixture
async def box(storage: Azurite, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Box]:
    name = f"dead-{abs(hash(request.node.name)):x}"
    async with ContainerClient.from_connection_string(storage.connection_string, name) as client:
        await client.create_container()
        made = Box(client, storage.connection_string, tmp_path)
        yield made
        for sweep in made.sweeps:
            await sweep.aclose()


def ids(pages: list[SweepPage]) -> list[str]:
    return [event.id for page in pages for event in page.events]


async def test_undelivered_events_are_handed_over_and_then_removed(box: Box) -> None:
    await box.put(f"{FOLDER}/a.json", [undelivered(1)])
    await box.put(f"{FOLDER}/b.json", undelivered(2))
    await box.put("OTHER/2026/3/1/18/c.json", [undelivered(3), undelivered(4)])
    sweep = box.sweep()

    first = await sweep.page("")
    assert len(await box.names()) == 3, "nothing is removed before its events are safe"
    assert first.cursor
    second = await sweep.page(first.cursor)
    pages = [first, second, await sweep.page(second.cursor or "")]

    assert sorted(ids(pages)) == ["e1", "e2", "e3", "e4"]
    assert await box.names() == []
    assert "Ana Dev" not in str(pages)


async def test_a_page_that_is_asked_for_twice_hands_over_the_same(box: Box) -> None:
    await box.put(f"{FOLDER}/a.json", [undelivered(1)])
    sweep = box.sweep()

    first, again = await sweep.page(""), await sweep.page("")
    assert first == again
    assert first.cursor
    await sweep.page(first.cursor)
    assert (await sweep.page(first.cursor)).cursor is None, "removing what is gone is no error"


async def test_a_blob_that_was_written_anew_is_not_removed(box: Box) -> None:
    await box.put(f"{FOLDER}/a.json", [undelivered(1)])
    sweep = box.sweep()
    first = await sweep.page("")
    await box.put(f"{FOLDER}/a.json", [undelivered(2)])

    assert first.cursor
    await sweep.page(first.cursor)

    assert await box.names() == [f"{FOLDER}/a.json"]
    assert ids(await box.run(sweep)) == ["e2"]


async def test_cloudevents_and_pushes_are_understood_too(box: Box) -> None:
    event = undelivered(1)
    head = {"specversion": "1.0", "id": "c1", "source": "/s", "type": event["eventType"], "time": event["eventTime"]}
    await box.put(f"{FOLDER}/a.json", {**head, "data": event["data"], "deadletterreason": "x"})
    pushed = {"target": {"repository": "api", "tag": "1"}, "request": {"host": "acme.azurecr.io"}}
    await box.put(f"{FOLDER}/b.json", [undelivered(2, eventType="ImagePushed", data=pushed)])

    assert sorted(ids(await box.run(box.sweep()))) == ["c1", "e2"]


BROKEN = [
    pytest.param(b"{", "not JSON", id="no json"),
    pytest.param(b"\xff\xfe", "not UTF-8", id="no text"),
    pytest.param(b"", "not JSON", id="empty"),
    pytest.param(b"7", "neither a JSON object nor a list", id="a number"),
    pytest.param(b"[" * 5000, "", id="deep"),
    pytest.param([undelivered(1, eventTime="yesterday")], "time", id="broken event"),
    pytest.param(b" " * 3000, "2,048 are the limit", id="too long"),
]


@pytest.mark.parametrize(("content", "said"), BROKEN)
async def test_what_cannot_be_understood_is_moved_aside_with_the_reason(box: Box, content: Any, said: str) -> None:
    await box.put(f"{FOLDER}/bad.json", content)
    await box.put(f"{FOLDER}/good.json", undelivered(2))
    sweep = box.sweep(max_blob_bytes=2048)

    assert ids(await box.run(sweep)) == ["e2"]

    aside = f"{REJECTED}{FOLDER}/bad.json"
    assert await box.names() == [aside]
    assert said in await box.reason(aside)
    kept = await (await box.client.download_blob(aside)).readall()
    assert kept == (content if isinstance(content, bytes) else json.dumps(content).encode())
    assert ids(await box.run(sweep)) == [], "what was moved aside is not read again"


async def test_the_good_events_of_a_batch_are_handed_over_and_the_batch_is_kept(box: Box) -> None:
    await box.put(f"{FOLDER}/a.json", [undelivered(1), undelivered(2, eventTime=7)])

    assert ids(await box.run(box.sweep())) == ["e1"]
    assert await box.names() == [f"{REJECTED}{FOLDER}/a.json"]


async def test_many_blobs_come_in_pages(box: Box) -> None:
    for number in range(70):
        await box.put(f"{FOLDER}/{number:03}.json", undelivered(number))
    await box.put(f"{FOLDER}/big1.json", [undelivered(number) for number in range(100, 700)])
    await box.put(f"{FOLDER}/big2.json", [undelivered(number) for number in range(700, 710)])

    pages = await box.run(box.sweep())

    assert sorted(ids(pages)) == sorted(f"e{number}" for number in (*range(70), *range(100, 710)))
    assert max(len(page.events) for page in pages) <= 32 + 600
    assert all(len(page.cursor or "") < 8192 for page in pages)
    assert await box.names() == []


async def test_a_blob_that_somebody_put_at_the_top_is_read_too(box: Box) -> None:
    await box.put("replay.json", undelivered(1))

    assert ids(await box.run(box.sweep())) == ["e1"]


async def test_an_empty_container_is_done_at_once(box: Box) -> None:
    assert await box.sweep().page("") == SweepPage()
    await box.sweep().check()


async def test_a_container_that_is_missing_or_closed_says_so(box: Box, storage: Azurite) -> None:
    with pytest.raises(SweepError, match="no such container"):
        await box.sweep(container="not-there").check()
    box.connection_string = storage.connection_string.replace("AccountKey=", "AccountKey=AAAA")
    with pytest.raises(SweepError, match="Storage Blob Data Contributor"):
        await box.sweep().page("")
    with pytest.raises(SweepError, match="holds no connection string") as refused:
        await box.sweep(connection_string="env:BROKEN").page("")
    assert "canary" not in str(refused.value)


async def test_storage_that_cannot_be_reached_is_tried_again(box: Box) -> None:
    box.connection_string = Azurite.through(1, 1, 1)

    with pytest.raises(SweepError, match="cannot be reached") as failed:
        await box.sweep().page("")
    assert failed.value.is_retryable


@pytest.mark.parametrize("cursor", ["x", "[]", '{"folders": 7}'])
async def test_a_cursor_that_cannot_be_read_is_an_error(box: Box, cursor: str) -> None:
    with pytest.raises(SweepError, match="cursor"):
        await box.sweep().page(cursor)


async def test_the_identity_opens_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, where = trustme.CA(), free_azurite()
    ca, cert, key = tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem"
    authority.cert_pem.write_to_path(str(ca))
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    command = [*azurite_command(where), "--oauth", "basic", "--cert", str(cert), "--key", str(key)]
    endpoint = f"https://127.0.0.1:{where.blob_port}/{ACCOUNT}"
    with running(command, port=where.table_port, log=tmp_path / "azurite.log"):
        async with ManagedIdentity() as identity:
            isolated_identity(monkeypatch, identity.environment)
            credential = AzureNamedKeyCredential(ACCOUNT, KEY)
            async with ContainerClient(
                endpoint, "dead-letters", credential=credential, connection_verify=str(ca)
            ) as client:
                await client.create_container()
                await client.upload_blob("A/a.json", json.dumps(undelivered(1)))
            clients = partial(AccountClients, connection_verify=str(ca))  # Azure's library takes it from nowhere else
            monkeypatch.setattr(container, "AccountClients", clients)
            given = {"account": ACCOUNT, "blob_endpoint": endpoint, "container": "dead-letters"}
            sweep = DeadLetterSweep(
                DeadLetterConfig.model_validate(given), make_context(tmp_path, event_sources=SOURCES)
            )
            page = await sweep.page("")
            await sweep.aclose()
    assert ids([page]) == ["e1"]
    assert identity.issued == 1


@pytest.mark.parametrize("options", [{}, {"account": "acme", "connection_string": "env:X"}, {"account": "A/B"}])
def test_it_is_said_in_one_way_where_the_container_is(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DeadLetterConfig.model_validate({"container": "dead-letters", **options})
