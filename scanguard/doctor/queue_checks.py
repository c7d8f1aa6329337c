"""Area ``queue``: what waits, for how long, what is overdue, what was given up; read through the backend's ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from scanguard.backends import DATABASE_NAME, embedded
from scanguard.doctor.check import Check, fail, ok, skipped, warn
from scanguard.doctor.clock_checks import judge_newest
from scanguard.doctor.database_checks import is_usable
from scanguard.doctor.folder_checks import is_there
from scanguard.engine.dead import DeadKind, DeadLetter
from scanguard.engine.jobs import JOBS, Job, JobStep
from scanguard.engine.store import read_document
from scanguard.errors import ScanguardError
from scanguard.ports import Backend, Lane, QueueDepth, RecordQuery
from scanguard.render.text import count, span_of

AREA: Final = "queue"
LATE: Final = timedelta(minutes=15)
"""Work that waits longer, though it could be done, waits for a worker."""
MOST: Final = 1_000
"""Rows of one kind that are counted."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is stored and not finished; numbers end at :data:`MOST`."""

    now: datetime
    lanes: Mapping[Lane, QueueDepth]
    overdue: int
    overdue_since: datetime | None
    dead: Mapping[DeadKind, int]
    newest: datetime | None
    """When the newest verdict was decided."""
    jobs: Sequence[Job] = ()
    """Periodic jobs that are not asleep for good."""


async def queue_checks(folder: Path) -> list[Check]:
    """Open the embedded backend, if it can be opened as it is, and read."""
    path = folder / DATABASE_NAME
    if not is_there(path):
        return [skipped(AREA, "work", "there is no database yet, so nothing waits")]
    if not is_usable(path):
        return [skipped(AREA, "work", "the database cannot be read as it is; see the area `data`")]
    try:
        async with embedded(folder) as backend:
            backlog = await read_backlog(backend)
    except ScanguardError as exc:
        return [fail(AREA, "work", exc.message, "see the area `data`")]
    return judge_work(backlog)


async def read_backlog(backend: Backend) -> Backlog:
    """Ask the ports; nothing is taken, locked or changed."""
    now = backend.clock.now()
    overdue = await backend.state.overdue(now, limit=MOST)
    newest = await backend.records.query(RecordQuery(limit=1))
    dead = {kind: len(await backend.state.page(DeadLetter.TABLE, kind, limit=MOST)) for kind in DeadKind}
    return Backlog(
        now=now,
        lanes=await backend.queue.depths(),
        overdue=len(overdue),
        overdue_since=overdue[0].due if overdue else None,
        dead=dead,
        newest=newest[0].decided_at if newest else None,
        jobs=[read_document(Job, row) for row in await backend.state.page(Job.TABLE, JOBS) if row.due is not None],
    )


def judge_work(backlog: Backlog, *, tells_age: bool = True) -> list[Check]:
    """One check a lane, one each for what is overdue, what was given up, each periodic job, the newest verdict's time.

    ``tells_age`` is False for a queue that may not know since when a message could be taken.
    """
    lanes = [_lane(lane, depth, backlog.now, tells_age=tells_age) for lane, depth in backlog.lanes.items()]
    jobs = [_job(job) for job in backlog.jobs]
    return [*lanes, _overdue(backlog), _dead(backlog), *jobs, *judge_newest(backlog.newest, backlog.now)]


def _lane(lane: Lane, depth: QueueDepth, now: datetime, *, tells_age: bool) -> Check:
    subject = f"lane {lane}"
    waiting = count(depth.messages, "message")
    if depth.ready_since is None:
        blind = "" if tells_age else "; for how long any could be taken, this queue does not tell (see `overdue`)"
        return ok(AREA, subject, f"{waiting}{blind}" if depth.messages else "empty")
    age = now - depth.ready_since
    detail = f"{waiting}, the oldest ready for {span_of(age)}"
    if age <= LATE:
        return ok(AREA, subject, detail)
    remedy = f"start a worker (`scanguard worker`), or one more; `--lane` must include {lane}"
    return warn(AREA, subject, f"{detail}: nobody takes it, or too few do", remedy)


def _overdue(backlog: Backlog) -> Check:
    if backlog.overdue_since is None:
        return ok(AREA, "overdue", "nothing")
    number = f"{MOST:,} rows or more" if backlog.overdue >= MOST else count(backlog.overdue, "row")
    age = backlog.now - backlog.overdue_since
    detail = f"{number}, the oldest for {span_of(age)}"
    if age <= LATE:
        return ok(AREA, "overdue", detail)
    remedy = "start a worker (`scanguard worker`): it takes up what was left lying"
    return warn(AREA, "overdue", f"{detail}: no worker has looked after them", remedy)


def _dead(backlog: Backlog) -> Check:
    found = {kind: number for kind, number in backlog.dead.items() if number}
    if not found:
        return ok(AREA, "dead letters", "none")
    said = ", ".join(
        f"{'at least ' if number >= MOST else ''}{number:,} of kind {kind}" for kind, number in found.items()
    )
    remedy = "`scanguard dead-letters list` says why; replay them when the cause is gone, or drop them"
    return warn(AREA, "dead letters", said, remedy)


def _job(job: Job) -> Check:
    subject = f"sweep {job.name}"
    if job.error:
        state = "its last run was given up" if job.failed_at else f"it failed {count(job.failures, 'time')} in a row"
        remedy = f"mend what the message says; `scanguard sweeps run {job.name}` starts it anew"
        return warn(AREA, subject, f"{state}: {job.error}", remedy)
    if job.step is not JobStep.REST:
        return ok(AREA, subject, f"under way, {job.done:,} done")
    return ok(AREA, subject, f"starts at {job.next_at:%Y-%m-%d %H:%M} UTC")
