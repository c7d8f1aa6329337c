"""Periodic jobs: sending again the message of every row that is overdue, and those of plugins, a page at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from scanguard.engine.context import EngineContext
from scanguard.engine.documents import Assessment, OutboxItem, ScanTask
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
            try:
                await self._context.backend.state.replace(row.with_(row.body, self._context.limits.rearm_at(now)))
            except ConflictError:
                continue  # somebody works on it right now
            messages += _wake_up(row)
        if len(rows) == PAGE and ours:
            messages.append(Outgoing(message))
        return messages


def _wake_up(row: Row) -> list[Outgoing]:
    try:
        if row.table == Assessment.TABLE:
            return [Outgoing(wake_up(read_document(Assessment, row)))]
        if row.table == ScanTask.TABLE:
            return [Outgoing(scan_message(read_document(ScanTask, row)))]
        if row.table == Poller.TABLE:
            return [Outgoing(poll_message(read_document(Poller, row).instance))]
        if row.table == OutboxItem.TABLE:
            return [Outgoing(deliver_message(read_document(OutboxItem, row)))]
        if row.table == Job.TABLE:
            job = read_document(Job, row)
            return [Outgoing(job_message(job.name, job.page))]
    except NewerSchemaError:
        pass  # a newer worker sweeps too
    return []
