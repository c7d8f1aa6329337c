"""One SQLite file, used by one thread of this process and by any number of other processes.

WAL with ``synchronous=FULL``: what a method returned from survives a crash of the machine.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from scanguard.errors import BackendError, ScanguardError

SCHEMA_VERSION: Final = 1
BUSY_TIMEOUT_S: Final = 30.0
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


class Database:
    """The file, opened on first use; every call runs in its one thread and its own transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scanguard-sqlite")
        self._connection: sqlite3.Connection | None = None

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run queries."""
        return await self._run(work)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run statements in one durable transaction; all or nothing."""

        def transaction(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

        return await self._run(transaction)

    async def aclose(self) -> None:
        """Close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def call() -> T:
            try:
                result = work(self._open())
                if isinstance(result, sqlite3.Cursor):
                    # Closed here: collected later, in another thread, it would reset a statement that is in use.
                    result.close()
                return result
            except ScanguardError:
                raise
            except (sqlite3.Error, OSError) as exc:
                raise BackendError(f"the store {self.path} failed: {exc}{_remedy(exc)}", target=str(self.path)) from exc

        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

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
