"""Both backends keep the contract of the ports; the file of the embedded one keeps more."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import pytest_asyncio

from scanguard.backends import embedded
from scanguard.backends.sqlite import Database
from scanguard.errors import BackendError, ConflictError
from scanguard.ports import Backend, Lane, Message, MessageKind, Outgoing, Row
from scanguard.testing.contracts import BackendContract
from scanguard.testing.contracts.bench import Reopen
from scanguard.testing.memory import ManualClock, MemoryBackend


class TestMemoryBackend(BackendContract):
    @pytest.fixture
    def backend(self, clock: ManualClock) -> Backend:
        return MemoryBackend(clock).backend()

    @pytest.fixture
    def reopen(self, backend: Backend) -> Reopen:
        return lambda: nullcontext(backend)


class TestEmbeddedBackend(BackendContract):
    @pytest_asyncio.fixture
    async def backend(  # type: ignore[override]  # a fixture
        self, clock: ManualClock, tmp_path: Path
    ) -> AsyncIterator[Backend]:
        async with embedded(tmp_path, clock) as ports:
            yield ports

    @pytest.fixture
    def reopen(self, clock: ManualClock, tmp_path: Path) -> Reopen:
        return lambda: embedded(tmp_path, clock)


# --- the file itself ----------------------------------------------------------------------------------------


async def _count_up(folder: Path, times: int) -> None:
    async with embedded(folder) as ports:
        for _ in range(times):
            while True:
                found = await ports.state.get("t", "p")
                assert found is not None
                try:
                    await ports.state.replace(found.with_({"n": int(str(found.body["n"])) + 1}, None))
                    break
                except ConflictError:
                    continue


def _process(folder: str, times: int) -> None:
    asyncio.run(_count_up(Path(folder), times))


async def test_several_processes_share_one_file_without_losing_an_update(tmp_path: Path) -> None:
    async with embedded(tmp_path) as ports:
        await ports.state.insert(Row("t", "p", "", {"n": 0}))
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_process, args=(str(tmp_path), 25)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join, 50)
        assert process.exitcode == 0
    async with embedded(tmp_path) as ports:
        found = await ports.state.get("t", "p")
    assert found is not None
    assert found.body == {"n": 75}


async def test_many_calls_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    async with embedded(tmp_path) as ports:

        async def go(number: int) -> None:
            for step in range(40):
                await ports.state.insert(Row("t", "p", f"{number}-{step}", {}))
                await ports.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id=f"{number}-{step}"))])
                for held in await ports.queue.receive([Lane.FRESH], limit=1, visibility_s=60):
                    await ports.queue.ack(held)

        await asyncio.gather(*(go(number) for number in range(16)))
        assert len(await ports.state.page("t", "p", limit=1000)) == 640
        assert await ports.queue.next_visible([Lane.FRESH]) is None


async def test_no_cursor_leaves_the_thread_that_owns_the_file(tmp_path: Path) -> None:
    """Collected in another thread, a cursor resets a statement in use: "bad parameter or other API misuse"."""
    database = Database(tmp_path / "a.db")
    cursor = await database.write(lambda db: db.execute("CREATE TABLE t (a)"))
    with pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
        cursor.fetchone()
    await database.aclose()


async def test_a_damaged_file_is_a_typed_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "scanguard.db").write_bytes(b"this is no database" * 1000)
    async with embedded(tmp_path) as ports:
        with pytest.raises(BackendError, match="move it away or restore"):
            await ports.state.get("t", "p")


async def test_a_file_of_a_newer_scanguard_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "scanguard.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    async with embedded(tmp_path) as ports:
        with pytest.raises(BackendError, match="newer scanguard"):
            await ports.state.get("t", "p")


async def test_a_folder_that_may_not_be_used_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with embedded(tmp_path / "file") as ports:
        with pytest.raises(BackendError, match="--data-dir"):
            await ports.state.get("t", "p")
        with pytest.raises(BackendError):
            await ports.reports.put("a", b"")
