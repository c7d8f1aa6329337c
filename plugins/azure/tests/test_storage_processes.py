"""Several processes on one account: no update is lost, no message is taken twice."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
from azurite import Azurite, azurite
from storage_rig import Account

from scanguard.errors import ConflictError
from scanguard.ports import Backend, Lane, Message, MessageKind, Outgoing, Row

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
PROCESSES = 3
TIMES = 12
MESSAGES = 60


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as where:
        yield where


async def _count_up(ports: Backend) -> None:
    for _ in range(TIMES):
        while True:
            found = await ports.state.get("t", "p")
            assert found is not None
            try:
                await ports.state.replace(found.with_({"n": int(str(found.body["n"])) + 1}, None))
                break
            except ConflictError:
                continue


async def _take_all(ports: Backend) -> list[str]:
    taken: list[str] = []
    while held := await ports.queue.receive([Lane.FRESH], limit=5, visibility_s=60):
        for delivery in held:
            taken.append(delivery.message.id if delivery.message else delivery.raw)
            await ports.queue.ack(delivery)
    return taken


async def _work(account: Account) -> list[str]:
    async with account.open() as ports:
        await _count_up(ports)
        return await _take_all(ports)


def _process(account: Account, file: Path) -> None:
    file.write_text("\n".join(asyncio.run(_work(account))), encoding="utf-8")


async def test_they_share_a_row_and_a_queue(emulator: Azurite, tmp_path: Path) -> None:
    account = Account.new(emulator.connection_string)
    async with account.open() as ports:
        await ports.state.insert(Row("t", "p", "", {"n": 0}))
        await ports.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id=f"{n:02d}")) for n in range(MESSAGES)])
        spawn = multiprocessing.get_context("spawn")
        files = [tmp_path / f"{n}.txt" for n in range(PROCESSES)]
        processes = [spawn.Process(target=_process, args=(account, file)) for file in files]
        for process in processes:
            process.start()
        for process in processes:
            await asyncio.to_thread(process.join, 100)
            assert process.exitcode == 0
        found = await ports.state.get("t", "p")
        assert found is not None
        assert found.body == {"n": PROCESSES * TIMES}
        taken = [id for file in files for id in file.read_text(encoding="utf-8").split()]
        assert sorted(taken) == [f"{n:02d}" for n in range(MESSAGES)]
        assert await ports.queue.next_visible([Lane.FRESH]) is None
