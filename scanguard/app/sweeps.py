"""Periodic jobs, for people: when each runs, what came of it, and how to start one now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scanguard.engine.jobs import Job, JobStep, Schedule
from scanguard.engine.messages import job_message
from scanguard.engine.plan import Host
from scanguard.engine.store import Store
from scanguard.ports import Backend, Outgoing, Row


@dataclass(frozen=True, slots=True)
class JobState:
    """A job and its row. ``every`` is None when the configuration does not have it, or switches it off."""

    job: Job
    row: Row
    every: timedelta | None
    now: datetime

    @property
    def is_resting(self) -> bool:
        """Nothing is to be done about it now."""
        return self.job.step is JobStep.REST and (self.row.due is None or self.job.next_at > self.now)


class SweepDesk:
    """The periodic jobs of one application."""

    def __init__(self, backend: Backend, host: Host) -> None:
        self._backend = backend
        self._host = host
        self._schedule = Schedule(Store(backend.state), host)

    async def all(self) -> Sequence[JobState]:
        """Every job that has a schedule, by name; of one that is not configured any more, what came of it last."""
        now = self._backend.clock.now()
        return [
            JobState(stored.document, stored.row, self._schedule.every(stored.document.name), now)
            for stored in await self._schedule.all()
        ]

    async def configured(self) -> Sequence[JobState]:
        """The same, when those that are configured have got their schedule."""
        await self._schedule.ensure(self._backend.clock.now())
        return await self.all()

    async def run(self, name: str) -> Job | None:
        """Make a job due now; one that runs goes on. None when there is no such job."""
        job = await self._schedule.run_now(name, self._backend.clock.now())
        if job is not None:
            await self._backend.queue.send([Outgoing(job_message(job.name, job.page))])
        return job
