"""The schedule of plugins' periodic jobs: a row each, which says what is to be done next, and when."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from scanguard.engine.documents import Document
from scanguard.engine.plan import Host, HostedSweep
from scanguard.engine.store import Store, Stored, read_document
from scanguard.errors import ConflictError, ScanguardError
from scanguard.model.base import Instant

JOBS: Final = "jobs"
"""The partition of all jobs; there are few."""
MOST: Final = 1_000
SHORTEST: Final = timedelta(seconds=1)
"""However often a job is configured to start, and however long its runs take."""


class JobStep(StrEnum):
    """``pages`` asks the plugin; ``missing`` looks after what a job that lists all did not list; else it rests."""

    REST = "rest"
    PAGES = "pages"
    MISSING = "missing"


class Job(Document):
    """One periodic job: the one that an instance's plugin offers.

    ``page`` counts the pages of all runs, so that a message of an earlier one changes nothing. ``failures`` counts
    those since the last page that succeeded; ``failed_at`` says when a run was given up, and stays with ``error``
    until a page succeeds.
    """

    TABLE: ClassVar[str] = "job"

    name: str
    every_s: float = 0.0
    step: JobStep = JobStep.REST
    next_at: Instant
    run: int = 0
    page: int = 0
    cursor: str = ""
    not_before: Instant | None = None
    slot: Instant | None = None
    """The slot of the instance's quota that is booked for the next page."""
    lease: str = ""
    lease_until: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    done: int = 0
    failures: int = 0
    failed_at: Instant | None = None
    error: str = ""
    error_kind: str = ""

    @property
    def address(self) -> tuple[str, str]:
        """Partition and key of the row."""
        return JOBS, self.name

    @property
    def due(self) -> datetime:
        """When the next step may be taken."""
        return self.next_at if self.step is JobStep.REST else self.not_before or self.next_at


def begun(job: Job, hosted: HostedSweep, now: datetime) -> Job:
    """The next run of a job that rested, from its first page."""
    return job.model_copy(
        update={
            "step": JobStep.PAGES,
            "run": job.run + 1,
            "cursor": "",
            "not_before": None,
            "slot": None,
            "started_at": now,
            "next_at": now + max(hosted.every or SHORTEST, SHORTEST),
            "done": 0,
            "failures": 0,
        }
    )


def rested(job: Job, now: datetime) -> Job:
    """The job when a run is over, however it ended."""
    return job.model_copy(
        update={
            "step": JobStep.REST,
            "cursor": "",
            "not_before": None,
            "slot": None,
            "finished_at": now,
            "next_at": max(job.next_at, now + SHORTEST),
            "page": job.page + 1,
        }
    )


class Schedule:
    """The rows of the configured jobs."""

    def __init__(self, store: Store, host: Host) -> None:
        self._store = store
        self._host = host

    async def ensure(self, now: datetime) -> None:
        """A row for each job that is configured; one that is new, or was not configured for a while, starts soon."""
        for name in self._host.sweeps():
            every = self.every(name)
            if every is None:
                continue
            fresh = Job(name=name, every_s=every.total_seconds(), next_at=now)
            stored = await self._store.ensure(fresh, now)
            if stored.document is not fresh:
                await self._adapt(stored, every)

    def every(self, name: str) -> timedelta | None:
        """How often a job starts; None when it is switched off, or not configured any more."""
        if name not in self._host.sweeps():
            return None
        try:
            return self._host.sweep(name).every
        except ScanguardError:
            return timedelta(0)  # its row will say what is wrong with it

    async def _adapt(self, stored: Stored[Job], every: timedelta) -> None:
        """Take over another interval; wake what rests for good because nobody knew it."""
        job = stored.document
        is_asleep = stored.row.due is None
        if job.lease or (not is_asleep and (job.every_s == every.total_seconds() or not every)):
            return
        sooner = job.next_at if job.started_at is None else min(job.next_at, job.started_at + max(every, SHORTEST))
        changed = job.model_copy(update={"every_s": every.total_seconds(), "next_at": sooner})
        at_rest = changed.step is JobStep.REST or is_asleep
        with suppress(ConflictError):
            await self._store.replace(stored, changed, changed.due if at_rest else stored.row.due)

    async def run_now(self, name: str, now: datetime) -> Job | None:
        """Make a job that rests due at once; one that runs goes on. None when there is no such job."""
        await self.ensure(now)
        if self.every(name) is None:
            return None

        def change(job: Job) -> tuple[Job, datetime] | None:
            if job.step is not JobStep.REST:
                return None
            return job.model_copy(update={"next_at": now}), now

        stored = await self._store.update(Job, JOBS, name, change)
        return stored.document if stored else None

    async def all(self) -> Sequence[Stored[Job]]:
        """Every job that has a row, by name."""
        rows = await self._store.state.page(Job.TABLE, JOBS, limit=MOST)
        return [Stored(read_document(Job, row), row) for row in rows]
