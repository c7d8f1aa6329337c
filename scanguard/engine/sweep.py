"""Periodic jobs: sending again the message of every row that is overdue, and those of plugins, a page at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from scanguard.engine.context import EngineContext
from scanguard.engine.documents import Assessment, Document, OutboxItem, ScanTask
from scanguard.engine.jobs import Job, Schedule
from scanguard.engine.messages import (
    JOB,
    REARM,
    deliver_message,
    job_message,
    poll_message,
    scan_message,
    wake_up,
)
from scanguard.engine.paging import JobHandler
from scanguard.engine.polling import Poller
from scanguard.engine.store import NewerSchemaError, read_document
from scanguard.errors import BackendError, ConflictError
from scanguard.ports import Message, Outgoing, Row

PAGE = 100
ENSURE_EVERY: Final = timedelta(minutes=1)
"""How often it is looked whether each configured job has its row."""
LONGEST_PAUSE: Final = timedelta(minutes=15)
"""A row that is overdue is woken up again when it is twice as old, at the latest after this time: where there is more
work than workers its message is still in the queue, and another each minute would only make the queue longer."""


class SweepHandler:
    """Handles ``sweep`` messages; the message's id names the job."""

    def __init__(self, context: EngineContext, *, runs_jobs: bool) -> None:
        self._context = context
        self._runs_jobs = runs_jobs
        self._jobs = JobHandler(context)
        self._schedule = Schedule(context.store, context.host)
        self._ensured_at: datetime | None = None

    async def handle(self, message: Message) -> list[Outgoing]:
        """Do one page of a job, and ask for the next when there may be more."""
        if message.id.startswith(JOB):
            return await self._jobs.handle(message)
        if message.id != REARM:
            raise BackendError(f"there is no periodic job named {message.id!r} in this version")
        await self.ensure_jobs()
        return await self._rearm(message)

    async def ensure_jobs(self) -> None:
        """A row for each job that is configured, now and then."""
        now = self._context.now()
        if not self._runs_jobs or (self._ensured_at is not None and now < self._ensured_at + ENSURE_EVERY):
            return
        await self._schedule.ensure(now)
        self._ensured_at = now

    async def _rearm(self, message: Message) -> list[Outgoing]:
        now = self._context.now()
        rows = await self._context.backend.state.overdue(now, limit=PAGE)
        ours = [row for row in rows if self._runs_jobs or row.table != Job.TABLE]
        messages = []
        for row in ours:
            found = _read(row)
            again = max(self._context.limits.rearm_at(now), now + min(_age(found, now), LONGEST_PAUSE))
            try:
                await self._context.backend.state.replace(row.with_(row.body, again))
            except ConflictError:
                continue  # somebody works on it right now
            messages += [] if found is None else [Outgoing(_WAKE_UPS[type(found)](found))]
        if len(rows) == PAGE and ours:
            messages.append(Outgoing(message))
        return messages


_WAKE_UPS: Final[Mapping[type[Document], Callable[[Any], Message]]] = {
    Assessment: wake_up,
    ScanTask: scan_message,
    Poller: lambda poller: poll_message(poller.instance),
    OutboxItem: deliver_message,
    Job: lambda job: job_message(job.name, job.page),
}
_KINDS: Final = {kind.TABLE: kind for kind in _WAKE_UPS}


def _read(row: Row) -> Document | None:
    """None when a newer worker, which sweeps too, has to wake it up."""
    try:
        return read_document(_KINDS[row.table], row) if row.table in _KINDS else None
    except NewerSchemaError:
        return None


def _age(document: Document | None, now: datetime) -> timedelta:
    created: datetime = getattr(document, "created_at", now)
    return now - created
