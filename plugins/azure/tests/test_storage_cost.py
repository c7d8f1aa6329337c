"""What a deployment costs in requests to the account, from its intake to its last delivery, with an instant scanner."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.core.pipeline.transport import AioHttpTransport
from azurite import Azurite, azurite
from storage_rig import Account

from scanguard.engine.documents import assessment_id
from scanguard.engine.engine import Engine
from scanguard.engine.worker import Worker
from scanguard.model.deployment import Event
from scanguard.ports import Message, MessageKind, Outgoing, RecordQuery
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigHost

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]
DEPLOYMENTS = 20


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as where:
        yield where


@pytest.fixture
def sent(emulator: Azurite, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Requests by service, as the transport sends them; only it sees those that the library tries again."""
    services = {emulator.blob_port: "blob", emulator.queue_port: "queue", emulator.table_port: "table"}
    found: Counter[str] = Counter()
    send = AioHttpTransport.send

    async def counted(self: AioHttpTransport, request: Any, **options: Any) -> Any:
        found[services[urlsplit(request.url).port or 0]] += 1
        return await send(self, request, **options)

    monkeypatch.setattr(AioHttpTransport, "send", counted)
    return found


@pytest.mark.parametrize(
    ("images", "most"),
    [
        pytest.param(DEPLOYMENTS, {"table": 56, "queue": 18, "blob": 7}, id="each its own image"),
        pytest.param(1, {"table": 45, "queue": 16, "blob": 3}, id="one image"),
    ],
)
async def test_a_deployment_costs_few_requests(
    emulator: Azurite, sent: Counter[str], images: int, most: dict[str, int]
) -> None:
    rig = Rig()
    rig.scanners["one"].findings = tuple(f"CVE-2024-{number}" for number in range(20))
    async with Account.new(emulator.connection_string).open() as ports:
        await ports.queue.depths()
        await ports.state.overdue(ports.clock.now())
        await ports.records.query(RecordQuery())
        await ports.state.get("t", "p")
        await ports.reports.put("first", b"")
        sent.clear()
        for number in range(DEPLOYMENTS):
            resource = f"/deployments/{number}"
            rig.deploy(resource, f"image:{number % images}")
            event = Event(id=str(number), source="s", type="t", resource_id=resource, time=ports.clock.now())
            body = {"event": event.model_dump(mode="json"), "force": False}
            await ports.queue.send([Outgoing(Message(kind=MessageKind.INTAKE, id=assessment_id(event), body=body))])

        async def is_finished() -> bool:
            return len(rig.sink.deliveries) + len(rig.notifier.deliveries) >= 2 * DEPLOYMENTS

        worker = Worker(Engine(ports, RigHost(rig)), sweep_s=3600, poll_s=5)
        await asyncio.wait_for(worker.run(is_finished), 120)
    each = {service: count / DEPLOYMENTS for service, count in sent.items()}
    print(f"requests for a deployment, {images} images: {each}")  # noqa: T201  # the documentation quotes it
    assert set(each) == set(most)
    assert not {service: count for service, count in each.items() if count > most[service]}, each
