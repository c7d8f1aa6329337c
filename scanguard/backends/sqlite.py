"""One SQLite file, used by one thread of this process and by any number of other processes.

WAL with ``synchronous=FULL``: what a method returned from survives a crash of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from scanguard.errors import BackendError

SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_S: Final = 30.0
MAX_BATCH: Final = 64
"""Most calls that share a commit."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (
    tbl TEXT NOT NULL, part TEXT NOT NULL, key TEXT NOT NULL,
    body TEXT NOT NULL, due INTEGER, etag TEXT NOT NULL,
    PRIMARY KEY (tbl, part, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS state_due ON state (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL, body TEXT NOT NULL,
    visible_at INTEGER NOT NULL, receipt TEXT NOT NULL DEFAULT '', delivered INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS queue_visible ON queue (lane, visible_at);
CREATE TABLE IF NOT EXISTS verdict (
    id TEXT PRIMARY KEY, revision INTEGER NOT NULL, resource TEXT NOT NULL,
    seen_at INTEGER NOT NULL, decided_at INTEGER NOT NULL, body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS verdict_resource ON verdict (resource, seen_at);
CREATE INDEX IF NOT EXISTS verdict_decided ON verdict (decided_at);
CREATE TABLE IF NOT EXISTS verdict_image (
    id TEXT NOT NULL, position INTEGER NOT NULL, name TEXT NOT NULL, reference TEXT NOT NULL,
    repository TEXT NOT NULL, digest TEXT NOT NULL, worst INTEGER NOT NULL,
    PRIMARY KEY (id, position)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS verdict_image_repository ON verdict_image (repository);
CREATE INDEX IF NOT EXISTS verdict_image_reference ON verdict_image (reference);
CREATE INDEX IF NOT EXISTS verdict_image_name ON verdict_image (name);
CREATE INDEX IF NOT EXISTS verdict_image_digest ON verdict_image (digest);
CREATE TABLE IF NOT EXISTS vulnerability (
    id TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (id, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS vulnerability_digest ON vulnerability (digest);
"""

T = TypeVar("T")


def to_micros(moment: datetime) -> int:
    """A moment as whole microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The inverse of :func:`to_micros`."""
    return _EPOCH + timedelta(microseconds=micros)


@dataclass(slots=True)
class _Call:
    """A piece of work, who waits for it, and what came of it."""

    work: Callable[[sqlite3.Connection], Any]
    writes: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None

    def run(self, connection: sqlite3.Connection, *, is_alone: bool) -> None:
        """Do the work; what a failed one wrote is undone, and only that. One that writes alone is the transaction."""
        needs_point = self.writes and not is_alone
        if needs_point:
            connection.execute("SAVEPOINT one")
        try:
            result = self.work(connection)
            if isinstance(result, sqlite3.Cursor):
                # Closed here: collected later, in another thread, it would reset a statement that is in use.
                result.close()
            self.result = result
        except Exception as exc:
            if isinstance(exc, sqlite3.Error) and not connection.in_transaction and self.writes:
                raise  # SQLite gave up the whole transaction (disk full, I/O error)
            self.error = exc
            if self.writes:
                connection.execute("ROLLBACK TO one" if needs_point else "ROLLBACK")
        if needs_point:
            connection.execute("RELEASE one")

    def fail(self, error: Exception) -> None:
        """The batch as a whole failed: nothing of it is there."""
        self.result = None
        self.error = error

    def settle(self) -> None:
        """Tell whoever waits, in their loop."""
        if self.future.done():
            return  # they were cancelled; the work is done all the same
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


def _answer(batch: list[_Call]) -> None:
    """Settle every call of a batch, with one wake-up a loop."""
    for loop in {call.loop for call in batch}:
        calls = [call for call in batch if call.loop is loop]
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, calls)


def _settle(calls: list[_Call]) -> None:
    for call in calls:
        call.settle()


class Database:
    """The file, opened on first use; calls run in order in its one thread.

    Writes that wait at the same moment share one durable commit (each in a savepoint of its own, so that one that
    fails takes nothing else with it); none of them returns before that commit.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection | None = None

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run queries."""
        return await self._run(work, writes=False)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run statements durably; all or nothing."""
        return await self._run(work, writes=True)

    async def aclose(self) -> None:
        """Finish what was asked for and close the file."""
        if self._thread is not None:
            self._calls.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    async def _run(self, work: Callable[[sqlite3.Connection], T], *, writes: bool) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._calls.put(_Call(work, writes, loop, future))
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="scanguard-sqlite", daemon=True)
            self._thread.start()
        return await future

    # --- in the thread ------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while batch := self._next_batch():
            self._carry_out(batch)
            _answer(batch)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _next_batch(self) -> list[_Call]:
        """Whatever waits now, at least one call; empty at the end."""
        call = self._calls.get()
        batch: list[_Call] = []
        while call is not None:
            batch.append(call)
            if len(batch) == MAX_BATCH:
                return batch
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                return batch
        if batch:
            self._calls.put(None)  # seen again, and acted on, by the next turn
        return batch

    def _carry_out(self, batch: list[_Call]) -> None:
        try:
            connection = self._open()
            writing = sum(call.writes for call in batch)
            try:
                if writing:
                    connection.execute("BEGIN IMMEDIATE")
                for call in batch:
                    call.run(connection, is_alone=writing == 1)
                if connection.in_transaction:
                    connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except Exception as exc:  # whatever it is, everybody who waits must hear of it
            for call in batch:
                call.fail(exc)
        for call in batch:
            if isinstance(call.error, sqlite3.Error | OSError):
                call.error = self._as_ours(call.error)

    def _as_ours(self, exc: Exception) -> BackendError:
        error = BackendError(f"the store {self.path} failed: {exc}{_remedy(exc)}", target=str(self.path))
        error.__cause__ = exc
        return error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self.path, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False
            )
            try:
                _prepare(connection, self.path)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise BackendError(
            f"the store {path} was written by a newer scanguard (schema {version}, this one reads {SCHEMA_VERSION}); "
            "upgrade scanguard or choose another --data-dir",
            target=str(path),
        )
    if version < SCHEMA_VERSION:
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")


def _remedy(exc: Exception) -> str:
    text = str(exc)
    if "locked" in text:
        return f"; another process held it for more than {BUSY_TIMEOUT_S:.0f} s"
    if "malformed" in text or "not a database" in text:
        return "; the file is damaged: move it away or restore a copy"
    if "full" in text:
        return "; make room on the disk"
    if isinstance(exc, OSError) or "unable to open" in text or "readonly" in text:
        return "; check that the folder exists and may be written, or choose another --data-dir"
    return ""
