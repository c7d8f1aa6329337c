"""Advance one scan task: submit, poll or finish. Running twice does no harm."""

from __future__ import annotations

import secrets
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from scanguard.engine.context import EngineContext
from scanguard.engine.dead import DeadKind
from scanguard.engine.documents import TERMINAL_TASK, ScanTask, SourceState, TaskResult, TaskState, Waiter
from scanguard.engine.guard import call_plugin
from scanguard.engine.lease import Lease
from scanguard.engine.messages import assess_message, scan_message
from scanguard.engine.plan import HostedScanner, Progress
from scanguard.engine.store import Stored, read_document
from scanguard.engine.turns import LONGEST, Turns
from scanguard.errors import (
    BackendError,
    RegistryError,
    RegistryThrottledError,
    ScanguardError,
    ScannerOutputError,
    ScannerThrottledError,
    ScanTargetNotFoundError,
    ScanTimeoutError,
    ScanUnsupportedError,
)
from scanguard.hooks import ScanRequest, Ticket
from scanguard.model.image import ResolvedImage
from scanguard.model.report import ScanReport
from scanguard.ports import Message, MessageKind, Outgoing

WAKE_PAGE = 100
_WAKE_AFTER = "wake_after"
Outcome = ScanReport | Ticket | ScanguardError
T = TypeVar("T")


class ScanHandler:
    """Handles ``scan`` messages."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._backend = context.backend
        self._store = context.store
        self._limits = context.limits
        self._turns = Turns(context)

    async def handle(self, message: Message) -> list[Outgoing]:
        """Advance the task the message names."""
        if _WAKE_AFTER in message.body:
            return await self._wake(message.id, str(message.body[_WAKE_AFTER]))
        stored = await self._store.get(ScanTask, message.id)
        if stored is None:
            return []
        if stored.document.state in TERMINAL_TASK:
            return await self._ended(stored.document)
        now = self._context.now()
        if _later(stored.document.lease_until, now) or _later(stored.document.not_before, now):
            return []
        waiting = await self._turns.wait(stored)
        return await self._step(stored) if waiting is None else waiting

    async def _step(self, stored: Stored[ScanTask]) -> list[Outgoing]:
        owner = secrets.token_hex(8)
        task, was = await self._acquire(stored, owner)
        if task is None or task.lease != owner:
            return []
        step = self._advance(task, crashed=was is TaskState.INTENT)
        outcome = await Lease(self._context, task.id, owner).run(step)
        if outcome is None:
            return []
        if isinstance(outcome, ScannerThrottledError):
            at = self._limits.retry_at(self._context.now(), 1, outcome.retry_after_s)
            await self._context.quotas.close(task.instance, at)
        return await self._settle(task, owner, outcome)

    async def _acquire(self, known: Stored[ScanTask], owner: str) -> tuple[ScanTask | None, TaskState]:
        """Take the lease, saving the intent to submit; a task that is not to be touched now comes back as it is."""
        was = TaskState.PENDING
        now = self._context.now()

        def change(task: ScanTask) -> tuple[ScanTask, datetime] | None:
            nonlocal was
            was = task.state
            if task.state in TERMINAL_TASK or _later(task.lease_until, now) or _later(task.not_before, now):
                return None
            until = self._limits.lease_until(now)
            state = TaskState.INTENT if task.state is TaskState.PENDING else task.state
            update = {"lease": owner, "lease_until": until, "state": state, "slot": None}
            return task.model_copy(update=update), until

        stored = await self._store.update(ScanTask, known.document.id, "", change, known=known)
        return (stored.document if stored else None), was

    async def _advance(self, task: ScanTask, *, crashed: bool) -> Outcome:
        source = task.source
        if source is None:
            return ScanTargetNotFoundError("no place is left to read the image from", target=task.digest)
        if self._context.now() >= task.deadline:
            return ScanTimeoutError(f"{task.instance} did not finish by {task.deadline:%Y-%m-%d %H:%M:%S} UTC")
        self._context.observe(Progress("", source.name, task.instance, "scanning"))
        try:
            answer = await self._ask(task, source, crashed=crashed)
            if isinstance(answer, ScanReport):
                report = _belongs(answer, task)
                await self._backend.reports.put(report_name(task), report.model_dump_json().encode())
            return answer
        except BackendError:
            raise
        except ScanguardError as exc:
            return exc

    async def _ask(self, task: ScanTask, source: ResolvedImage, *, crashed: bool) -> ScanReport | Ticket:
        hosted = self._context.host.scanner(task.instance)
        scanner = hosted.open()
        request = ScanRequest(key=f"{task.id}-{task.run}", image=source, deadline=task.deadline)
        if task.ticket is not None:
            ticket = Ticket(value=task.ticket, not_before=task.ticket_not_before or task.created_at)
            return await self._call(hosted, "poll", scanner.poll(ticket), (ScanReport, Ticket))
        if crashed:
            found = await self._call(hosted, "find", scanner.find(request), (Ticket, type(None)))
            if found is not None:
                return found
        return await self._call(hosted, "submit", scanner.submit(request), (ScanReport, Ticket))

    async def _call(
        self, hosted: HostedScanner, what: str, call: Coroutine[Any, Any, T], returns: tuple[type[Any], ...]
    ) -> T:
        return await call_plugin(
            call,
            plugin=hosted.instance,
            what=what,
            timeout_s=hosted.spec.step_timeout_s,
            timeout_error=ScanTimeoutError,
            returns=returns,
        )

    async def _settle(self, task: ScanTask, owner: str, outcome: Outcome) -> list[Outgoing]:
        """Save what came of the step, unless the lease was lost to somebody who goes on instead."""
        now = self._context.now()

        def change(current: ScanTask) -> tuple[ScanTask, datetime | None] | None:
            if current.lease != owner:
                return None
            settled = self._after(current, outcome, now).model_copy(update={"lease": "", "lease_until": None})
            return settled, _due(settled, self._limits.rearm_at(now))

        stored = await self._store.update(ScanTask, task.id, "", change)
        if stored is None or stored.document.lease not in ("", owner):
            return []
        settled = stored.document
        source = task.source
        self._context.observe(Progress("", source.name if source else task.digest, task.instance, *_phase(settled)))
        if settled.state in TERMINAL_TASK:
            return await self._ended(settled, failed_before=task.failures > 0)
        return [Outgoing(scan_message(settled), settled.not_before)]

    async def _ended(self, task: ScanTask, *, failed_before: bool = False) -> list[Outgoing]:
        """Say so to everybody who waits, and keep the list of dead letters true."""
        if task.state is TaskState.FAILED:
            await self._context.dead.note(task)
        elif failed_before:
            await self._context.dead.forget(DeadKind.SCAN, task.id)
        return await self._wake(task.id)

    def _after(self, task: ScanTask, outcome: Outcome, now: datetime) -> ScanTask:
        if isinstance(outcome, ScanReport):
            return _done(task, outcome, now)
        if isinstance(outcome, Ticket):
            return task.model_copy(
                update={
                    "state": TaskState.SUBMITTED,
                    "ticket": dict(outcome.value),
                    "ticket_not_before": outcome.not_before,
                    "not_before": max(outcome.not_before, now),
                    "attempts": 0,
                }
            )
        return self._after_error(task, outcome, now)

    def _after_error(self, task: ScanTask, error: ScanguardError, now: datetime) -> ScanTask:
        noted = {"error": error.message, "error_kind": type(error).__name__}
        if isinstance(error, ScannerThrottledError | RegistryThrottledError):
            wait = self._limits.retry_at(now, 1, error.retry_after_s)
            left = task.deadline - now + wait  # the scan's own time stands still while it may not go on
            deadline = max(task.deadline, min(left, task.created_at + LONGEST))
            again = {**_again(task), "not_before": min(wait, deadline), "deadline": deadline}
            return task.model_copy(update={**noted, **again})
        if _is_the_places_fault(error):
            sources = _with_failed(task.sources, task.source, error)
            moved = task.model_copy(update={**noted, **_again(task), "sources": sources, "not_before": None})
            return moved if moved.source is not None else self._failed(moved, error, now)
        attempts = task.attempts + 1
        overdue = isinstance(error, ScanTimeoutError) and now >= task.deadline
        if not error.is_retryable or attempts >= self._limits.attempts or overdue:
            return self._failed(task.model_copy(update={**noted, "attempts": attempts}), error, now)
        wait = min(self._limits.retry_at(now, attempts, error.retry_after_s), task.deadline)
        return task.model_copy(update={**noted, **_again(task), "attempts": attempts, "not_before": wait})

    def _failed(self, task: ScanTask, error: ScanguardError, now: datetime) -> ScanTask:
        failures = task.failures + 1
        barred = self._limits.barred_until(now, failures, is_retryable=error.is_retryable)
        ended = {"state": TaskState.FAILED, "failed_at": now, "failures": failures, "barred_until": barred}
        return task.model_copy(update={**ended, "ticket": None, "not_before": None})

    async def _wake(self, task_id: str, after: str = "") -> list[Outgoing]:
        """Wake everybody who waits, a page at a time."""
        rows = await self._backend.state.page(Waiter.TABLE, task_id, after=after, limit=WAKE_PAGE)
        waiters = [read_document(Waiter, row) for row in rows]
        woken = [Outgoing(assess_message(waiter.assessment, waiter.lane)) for waiter in waiters]
        if len(rows) == WAKE_PAGE:
            rest = Message(kind=MessageKind.SCAN, id=task_id, lane=waiters[-1].lane, body={_WAKE_AFTER: rows[-1].key})
            woken.append(Outgoing(rest))
        return woken


def report_name(task: ScanTask) -> str:
    """Where the report of this run, by the holder of this lease, is kept: two workers never write the same one."""
    return f"scans/{task.digest.replace(':', '-')}/{task.id}-{task.run}-{task.lease}.json"


def _later(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment > now


def _belongs(report: ScanReport, task: ScanTask) -> ScanReport:
    """A report about another image, or another platform, is not trusted as this one."""
    if report.digest != task.digest:
        raise ScannerOutputError(
            f"{task.instance} answered about {report.digest}, not about {task.digest}", plugin=task.instance
        )
    if str(report.platform) != str(task.platform):
        raise ScannerOutputError(
            f"{task.instance} looked at {report.platform}, not at {task.platform}", plugin=task.instance
        )
    return report


def _done(task: ScanTask, report: ScanReport, now: datetime) -> ScanTask:
    result = TaskResult(
        report=report_name(task), run=task.run, info=report.scanner, findings=len(report.findings), finished_at=now
    )
    cleared = {"ticket": None, "not_before": None, "failures": 0, "barred_until": None, "error": "", "error_kind": ""}
    return task.model_copy(update={"state": TaskState.DONE, "result": result, **cleared})


def _again(task: ScanTask) -> dict[str, object]:
    """Back to where the next step starts: polling when there is a ticket, else submitting."""
    return {"state": TaskState.SUBMITTED if task.ticket is not None else TaskState.PENDING}


def _due(task: ScanTask, rearm: datetime) -> datetime | None:
    if task.state in TERMINAL_TASK:
        return None
    grace = rearm if task.not_before is None else max(rearm, task.not_before + timedelta(seconds=1))
    return grace


def _is_the_places_fault(error: ScanguardError) -> bool:
    """Whether another place that holds the same digest may do better."""
    if isinstance(error, ScanUnsupportedError):
        return False
    if isinstance(error, RegistryError):
        return not error.is_retryable
    return isinstance(error, ScanTargetNotFoundError)


def _with_failed(
    sources: tuple[SourceState, ...], failed: ResolvedImage | None, error: ScanguardError
) -> tuple[SourceState, ...]:
    return tuple(
        source.model_copy(update={"error": error.message, "error_kind": type(error).__name__})
        if failed is not None and source.image.source == failed.source
        else source
        for source in sources
    )


def _phase(task: ScanTask) -> tuple[str, str]:
    if task.state is TaskState.DONE:
        return "done", f"{task.result.findings if task.result else 0} findings"
    if task.state is TaskState.FAILED:
        return "failed", task.error
    return "waiting", task.error
