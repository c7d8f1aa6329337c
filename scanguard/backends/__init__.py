"""Places to run. The embedded one needs nothing but Python: SQLite and files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from scanguard.backends.files import FileReports
from scanguard.backends.queue import SqliteQueue
from scanguard.backends.records import SqliteRecords
from scanguard.backends.sqlite import Database
from scanguard.backends.state import SqliteState
from scanguard.ports import Backend, Clock, SystemClock

DATABASE_NAME = "scanguard.db"
REPORTS_FOLDER = "reports"


@asynccontextmanager
async def embedded(data_dir: Path, clock: Clock | None = None) -> AsyncIterator[Backend]:
    """The embedded backend: ``scanguard.db`` for queue, state, outbox and history; ``reports/`` beside it."""
    clock = clock or SystemClock()
    database = Database(data_dir / DATABASE_NAME)
    try:
        yield Backend(
            state=SqliteState(database),
            queue=SqliteQueue(database, clock),
            reports=FileReports(data_dir / REPORTS_FOLDER),
            records=SqliteRecords(database),
            clock=clock,
        )
    finally:
        await database.aclose()
