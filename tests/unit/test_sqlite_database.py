"""One file for all: writes share commits, one that fails harms no other, and a full or locked disk is told."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from scanguard.backends import sqlite
from scanguard.backends.sqlite import Database
from scanguard.errors import BackendError, ConflictError


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "x.db")
    await database.write(lambda db: db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)"))
    yield database
    await database.aclose()


def insert(value: int, text: str = "x") -> Callable[[sqlite3.Connection], object]:
    return lambda db: db.execute("INSERT INTO t VALUES (?, ?)", (value, text))


async def rows(database: Database) -> list[int]:
    found = await database.read(lambda db: db.execute("SELECT a FROM t ORDER BY a").fetchall())
    return [number for (number,) in found]


async def test_writes_that_wait_share_commits_and_each_is_there_when_it_returns(database: Database) -> None:
    commits = 0

    def counted(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    await database.read(lambda db: db.set_trace_callback(counted))
    await asyncio.gather(*(database.write(insert(number)) for number in range(200)))
    await database.read(lambda db: db.set_trace_callback(None))
    assert await rows(database) == list(range(200))
    assert commits <= 20, "two hundred writes that wait at once need few commits"


async def test_one_write_that_fails_takes_nothing_else_with_it(database: Database) -> None:
    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES (50, 'half')")
        raise ConflictError("somebody was faster")

    calls = [database.write(insert(1)), database.write(half), database.write(insert(1)), database.write(insert(2))]
    first, conflict, twice, last = await asyncio.gather(*calls, return_exceptions=True)

    assert not isinstance(first, BaseException)
    assert not isinstance(last, BaseException)
    assert isinstance(conflict, ConflictError)
    assert isinstance(twice, BackendError)
    assert "UNIQUE" in twice.message
    assert await rows(database) == [1, 2]


async def test_a_write_that_fails_alone_leaves_nothing_and_the_reads_beside_it_are_answered(database: Database) -> None:
    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES (50, 'half')")
        raise ConflictError("somebody was faster")

    calls = (rows(database), database.write(half), rows(database))
    before, conflict, after = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(conflict, ConflictError)
    assert before == after == []
    await database.write(insert(1))
    assert await rows(database) == [1]


async def test_a_full_disk_is_told_loses_nothing_and_ends_when_there_is_room(database: Database) -> None:
    def room(pages: int) -> Callable[[sqlite3.Connection], object]:
        return lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    await database.write(insert(1))
    await database.read(room(5))
    large = [database.write(insert(number, "y" * 100_000)) for number in range(2, 6)]
    failed = await asyncio.gather(*large, return_exceptions=True)
    assert all(isinstance(error, BackendError) for error in failed)
    assert "make room on the disk" in str(failed[0])
    assert await rows(database) == [1], "what was durable is still there, and nothing half done"

    await database.read(room(1_000_000))
    await database.write(insert(6))
    assert await rows(database) == [1, 6]


async def test_a_file_that_another_process_holds_is_waited_for_and_then_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.2)
    database = Database(tmp_path / "x.db")
    await database.write(lambda db: db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)"))
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BackendError, match="another process held it"):
        await database.write(insert(1))
    other.execute("ROLLBACK")
    other.close()
    await database.write(insert(2))
    assert await rows(database) == [2]
    await database.aclose()


async def test_a_file_that_is_damaged_while_it_is_used_is_told_to_everybody_who_waits(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"this is no database, whatever it is called" * 50)
    database = Database(tmp_path / "x.db")
    failed = await asyncio.gather(*(database.write(insert(n)) for n in range(5)), return_exceptions=True)
    assert all(isinstance(error, BackendError) for error in failed)
    assert "move it away or restore a copy" in str(failed[0])
    await database.aclose()


async def test_whoever_gave_up_waiting_disturbs_nobody(database: Database) -> None:
    waiting = [asyncio.ensure_future(database.write(insert(number))) for number in range(20)]
    await asyncio.sleep(0)
    for number in range(0, 20, 2):
        waiting[number].cancel()
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(done[number], asyncio.CancelledError) for number in range(0, 20, 2))
    assert set(range(1, 20, 2)) <= set(await rows(database))


async def test_closing_finishes_what_was_asked_for(tmp_path: Path) -> None:
    database = Database(tmp_path / "x.db")
    await database.write(lambda db: db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)"))
    asked = [asyncio.ensure_future(database.write(insert(number))) for number in range(50)]
    await asyncio.sleep(0)
    await database.aclose()
    await asyncio.gather(*asked)
    again = Database(tmp_path / "x.db")
    assert await rows(again) == list(range(50))
    await again.aclose()
