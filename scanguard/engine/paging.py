"""Advance one periodic job of a plugin, a page at a time. Running twice does no harm."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from scanguard.engine.context import EngineContext
from scanguard.engine.guard import call_plugin
from scanguard.engine.jobs import JOBS, Job, JobStep, begun, rested
from scanguard.engine.messages import JOB, PAGE, intake_message, job_message
from scanguard.engine.plan import HostedSweep
from scanguard.engine.quota import Errand
from scanguard.engine.roster import Roster
from scanguard.engine.store import Stored
from scanguard.errors import (
    ConflictError,
    PlatformThrottledError,
    PluginContractError,
    ScanguardError,
    SweepError,
)
from scanguard.hooks import SweepPage
from scanguard.model.deployment import Event
from scanguard.ports import Lane, Message, Outgoing
from scanguard.tokens import unique_token

LEASE_SLACK: Final = timedelta(seconds=60)
"""For what follows a page: sending its events, entering what it listed."""
MISSING: Final = "scanguard.missing"
"""Type of the events about deployments that a job no longer lists."""
log = logging.getLogger("scanguard.jobs")


class JobHandler:
    """Handles ``sweep`` messages of plugins' jobs."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._store = context.store
        self._roster = Roster(context.store)

    async def handle(self, message: Message) -> list[Outgoing]:
        """Take the job's next step, unless it is not due, in other hands, or was taken already."""
        stored = await self._store.get(Job, JOBS, message.id.removeprefix(JOB))
        now = self._context.now()
        if (
            stored is None
            or _is_early(stored.document, now)
            or message.body.get(PAGE) not in (None, stored.document.page)
        ):
            return []
        try:
            return await self._step(stored, now)
        except ConflictError:
            return []  # somebody else has the job in hand

    async def _step(self, stored: Stored[Job], now: datetime) -> list[Outgoing]:
        job = stored.document
        try:
            hosted = self._hosted(job.name)
        except ScanguardError as exc:
            return await self._failed(stored, exc)
        if hosted is None or hosted.every is None:
            await self._store.replace(stored, job, None)
            return []
        if job.step is JobStep.MISSING:
            return await self._missing(stored, hosted)
        ready = Stored(job if job.step is JobStep.PAGES else begun(job, hosted, now), stored.row)
        waiting = await self._wait(ready, hosted)
        return await self._page(ready, hosted) if waiting is None else waiting

    def _hosted(self, name: str) -> HostedSweep | None:
        return self._context.host.sweep(name) if name in self._context.host.sweeps() else None

    async def _wait(self, stored: Stored[Job], hosted: HostedSweep) -> list[Outgoing] | None:
        """None when the page may be asked for now, else the message that comes when it may."""
        job, count = stored.document, hosted.spec.requests_per_page
        if not count:
            return None
        turn = await self._context.quotas.take(hosted.limited, count, bulk=True, errand=Errand.CALL, held=job.slot)
        if turn.is_now:
            return None
        later = job.model_copy(update={"not_before": turn.at, "slot": turn.slot})
        try:
            return await self._saved(stored, later)
        except ConflictError:
            if turn.slot != job.slot:
                await self._context.quotas.give_back(hosted.limited, turn.slot, count, Errand.CALL)
            raise

    async def _page(self, stored: Stored[Job], hosted: HostedSweep) -> list[Outgoing]:
        now = self._context.now()
        until = now + timedelta(seconds=hosted.spec.timeout_s) + LEASE_SLACK
        held = await self._store.replace(
            stored,
            stored.document.model_copy(update={"lease": unique_token(), "lease_until": until, "slot": None}),
            until,
        )
        try:
            page = await self._ask(hosted, held.document.cursor)
        except ScanguardError as exc:
            return await self._failed(held, exc, hosted)
        await self._send(page.events)
        if hosted.spec.lists_all:
            await self._roster.saw(held.document.name, page.listed, held.document.run, now)
        return await self._went_well(held, hosted, page)

    async def _ask(self, hosted: HostedSweep, cursor: str) -> SweepPage:
        page = await call_plugin(
            hosted.open().page(cursor),
            plugin=hosted.instance,
            what="page",
            timeout_s=hosted.spec.timeout_s,
            timeout_error=SweepError,
            returns=SweepPage,
        )
        return _checked(page, hosted.instance)

    async def _went_well(self, held: Stored[Job], hosted: HostedSweep, page: SweepPage) -> list[Outgoing]:
        job = held.document
        after = job.model_copy(
            update={
                "page": job.page + 1,
                "cursor": page.cursor or "",
                "not_before": page.not_before,
                "done": job.done + page.done,
                **_NO_FAILURE,
            }
        )
        if page.cursor is None and hosted.spec.lists_all:
            after = after.model_copy(update={"step": JobStep.MISSING, "not_before": None})
        elif page.cursor is None:
            after = rested(after, self._context.now())
        return await self._saved(held, after)

    async def _missing(self, stored: Stored[Job], hosted: HostedSweep) -> list[Outgoing]:
        """Ask again after a page of what this run did not list; what is gone is closed by its assessment."""
        job = stored.document
        since = job.started_at or self._context.now()
        unseen, cursor = await self._roster.unseen(job.name, job.run, since, job.cursor)
        try:
            events = [_missing_event(job, resource, since) for resource in unseen if hosted.lists(resource)]
        except ScanguardError as exc:
            return await self._failed(stored, exc, hosted)
        await self._send(events)
        after = job.model_copy(update={"page": job.page + 1, "cursor": cursor})
        return await self._saved(stored, after if cursor else rested(after, self._context.now()))

    async def _send(self, events: Sequence[Event]) -> None:
        """Make events durable; whoever does the page again sends them again, and they are the same assessments."""
        wanted = [event for event in events if not self._context.host.ignores(event)]
        await self._context.backend.queue.send([Outgoing(intake_message(event, Lane.BULK)) for event in wanted])

    async def _failed(
        self, held: Stored[Job], error: ScanguardError, hosted: HostedSweep | None = None
    ) -> list[Outgoing]:
        """Try again later, obeying whoever asks to slow down; or give the run up, visibly, until its next time."""
        job, now, limits = held.document, self._context.now(), self._context.limits
        is_throttled = isinstance(error, PlatformThrottledError)
        failures = job.failures + (0 if is_throttled else 1)
        noted = job.model_copy(
            update={"failures": failures, "error": error.message, "error_kind": type(error).__name__}
        )
        at = limits.retry_at(now, max(failures, 1), error.retry_after_s)
        if is_throttled and hosted is not None:
            await self._context.quotas.close(hosted.limited.name, at)
        log.warning("periodic job: name=%s run=%s failures=%s error=%s", job.name, job.run, failures, error)
        if error.is_retryable and failures < limits.delivery_attempts:
            return await self._saved(held, noted.model_copy(update={"not_before": at}))
        if job.step is JobStep.REST:  # it could not even begin
            noted = noted.model_copy(update={"next_at": now + timedelta(seconds=max(job.every_s, _BROKEN_S))})
        return await self._saved(held, rested(noted.model_copy(update={"failed_at": now}), now))

    async def _saved(self, held: Stored[Job], job: Job) -> list[Outgoing]:
        """Write the row, and say when the job goes on; its next run is begun by the sweep of what is overdue."""
        free = job.model_copy(update={"lease": "", "lease_until": None})
        if free.step is JobStep.REST:
            await self._store.replace(held, free, free.next_at)
            return []
        now = self._context.now()
        await self._store.replace(held, free, self._context.limits.rearm_at(max(free.not_before or now, now)))
        return [Outgoing(job_message(free.name, free.page), free.not_before)]


_BROKEN_S: Final = 3600.0
"""How soon an instance whose job cannot be built is looked at again, at the earliest."""
_NO_FAILURE: Final[dict[str, object]] = {"failures": 0, "failed_at": None, "error": "", "error_kind": ""}


def _is_early(job: Job, now: datetime) -> bool:
    is_held = job.lease_until is not None and job.lease_until > now
    at = job.next_at if job.step is JobStep.REST else job.not_before
    return is_held or (at is not None and at > now)


def _missing_event(job: Job, resource: str, at: datetime) -> Event:
    return Event(id=f"{job.name}:{job.run}", source="scanguard", type=MISSING, resource_id=resource, time=at)


def _checked(page: SweepPage, instance: str) -> SweepPage:
    """What a page holds is what its record says; a cursor that is empty would start the job over, for ever."""
    faults = {
        "an event that is none": not all(isinstance(event, Event) for event in page.events),
        "a resource id that is no text": not all(isinstance(one, str) and one for one in page.listed),
        "a cursor that is empty or no text": page.cursor is not None
        and not (isinstance(page.cursor, str) and page.cursor),
        "a time that is not aware": page.not_before is not None and page.not_before.tzinfo is None,
    }
    found = next((fault for fault, is_there in faults.items() if is_there), None)
    if found:
        raise PluginContractError(f"{instance} answered page with {found}", plugin=instance)
    return page
