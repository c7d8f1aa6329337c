"""Advance one scan task: submit, poll or finish. Running twice does no harm."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar

from scanguard.engine.context import EngineContext
from scanguard.engine.dead import DeadKind
from scanguard.engine.documents import TERMINAL_TASK, ScanTask, TaskState, Waiter
from scanguard.engine.guard import call_plugin
from scanguard.engine.lease import Lease
from scanguard.engine.messages import POLL, WAKE_AFTER, assess_message, passed_over, scan_message, wake_message
from scanguard.engine.plan import HostedScanner, Progress
from scanguard.engine.polling import POLLED_GRACE, Polling
from scanguard.engine.store import Stored, read_document
from scanguard.engine.transitions import ScanOutcome, after, belonging, due, phase, report_name
from scanguard.engine.turns import Turns
from scanguard.errors import (
    BackendError,
    ScanguardError,
    ScannerThrottledError,
    ScanTargetNotFoundError,
    ScanTimeoutError,
)
from scanguard.hooks import ScanRequest, Ticket
from scanguard.model.base import base_of
from scanguard.model.image import ResolvedImage
from scanguard.model.report import ScanReport
from scanguard.ports import Message, Outgoing
from scanguard.telemetry.traces import current_traceparent, link_to
from scanguard.tokens import unique_token

log = logging.getLogger("scanguard.scan")

WAKE_PAGE = 100
T = TypeVar("T")


class ScanHandler:
    """Handles ``scan`` messages."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._backend = context.backend
        self._store = context.store
        self._limits = context.limits
        self._turns = Turns(context)
        self._polling = Polling(context)

    async def handle(self, message: Message) -> list[Outgoing]:
        """Advance the task the message names."""
        if WAKE_AFTER in message.body:
            return await self._wake(message.id, str(message.body[WAKE_AFTER]))
        if POLL in message.body:
            return await self._poll(message.id)
        stored = await self._store.get(ScanTask, message.id)
        if stored is None:
            return []
        return await self._go_on(stored)

    async def _go_on(self, stored: Stored[ScanTask]) -> list[Outgoing]:
        if stored.document.state in TERMINAL_TASK:
            return await self._ended(stored.document)
        now = self._context.now()
        if _later(stored.document.lease_until, now) or _later(stored.document.not_before, now):
            return []
        if self._is_polled_with_others(stored.document):
            return await self._polling.enrol(stored.document)
        waiting = await self._turns.wait(stored)
        return await self._step(stored) if waiting is None else waiting

    async def _step(self, stored: Stored[ScanTask]) -> list[Outgoing]:
        owner = unique_token()
        held, was = await self._acquire(stored, owner)
        if held is None or held.document.lease != owner:
            return []
        task = held.document
        step = self._advance(task, crashed=was is TaskState.INTENT)
        outcome = await Lease(self._context, ScanTask, task.id, owner).run(step)
        if outcome is None:
            return []
        if isinstance(outcome, ScannerThrottledError):
            at = self._limits.retry_at(self._context.now(), 1, outcome.retry_after_s)
            await self._context.quotas.close(base_of(task.instance), at)
        return await self._settle(held, owner, outcome, was_unclear=was is TaskState.INTENT)

    async def _acquire(self, known: Stored[ScanTask], owner: str) -> tuple[Stored[ScanTask] | None, TaskState]:
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
        return stored, was

    async def _advance(self, task: ScanTask, *, crashed: bool) -> ScanOutcome:
        source = task.source
        if source is None:
            return ScanTargetNotFoundError("no place is left to read the image from", target=task.digest)
        if self._context.now() >= task.deadline:
            return ScanTimeoutError(f"{task.instance} did not finish by {task.deadline:%Y-%m-%d %H:%M:%S} UTC")
        is_start = task.ticket is None and not crashed and not task.attempts
        step = Progress("", source.name, task.instance, "scanning", ended="start" if is_start else "", about=task)
        self._context.observe(step)
        try:
            return await self._kept(task, await self._ask(task, source, crashed=crashed))
        except BackendError:
            raise
        except ScanguardError as exc:
            return exc

    async def _ask(self, task: ScanTask, source: ResolvedImage, *, crashed: bool) -> ScanReport | Ticket:
        hosted = self._context.host.scanner(task.instance)
        scanner = hosted.open()
        request = ScanRequest(key=f"{task.id}-{task.run}", image=source, deadline=task.deadline)
        if task.ticket is not None:
            ticket = Ticket(task.ticket, task.ticket_not_before or task.created_at, task.ticket_requests)
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

    async def _settle(
        self, held: Stored[ScanTask], owner: str, outcome: ScanOutcome, *, was_unclear: bool
    ) -> list[Outgoing]:
        """Save what came of the step, unless the lease was lost to somebody who goes on instead."""
        now = self._context.now()

        def change(current: ScanTask) -> tuple[ScanTask, datetime | None] | None:
            if current.lease != owner:
                return None
            settled = after(current, outcome, now, self._limits, was_unclear=was_unclear)
            settled = settled.model_copy(update={"lease": "", "lease_until": None})
            return settled, due(settled, self._limits.rearm_at(now))

        task = held.document
        stored = await self._store.update(ScanTask, task.id, "", change, known=held)
        if stored is None or stored.document.lease not in ("", owner):
            return []
        return await self._following(task, stored.document)

    async def _following(self, before: ScanTask, settled: ScanTask) -> list[Outgoing]:
        """What follows a step that was saved."""
        source = before.source
        name = source.name if source else before.digest
        took = (self._context.now() - settled.created_at).total_seconds()
        if settled.state in TERMINAL_TASK:
            step = Progress("", name, before.instance, *phase(settled), "scan", took, settled)
        else:
            step = Progress("", name, before.instance, *phase(settled))
        self._context.observe(step)
        if settled.state in TERMINAL_TASK:
            return await self._ended(settled, failed_before=before.failures > 0)
        if self._is_polled_with_others(settled):
            return await self._polling.enrol(settled)
        late = passed_over(settled, self._context.now())
        return [Outgoing(scan_message(settled), settled.not_before), *late]

    # --- tickets that are polled together -----------------------------------------------------------------

    def _is_polled_with_others(self, task: ScanTask) -> bool:
        if task.state is not TaskState.SUBMITTED or task.ticket_requests is not None:
            return False
        try:
            return self._context.host.scanner(task.instance).spec.poll_many > 0
        except ScanguardError:
            return False  # its own step says what is wrong with the instance

    async def _poll(self, instance: str) -> list[Outgoing]:
        try:
            return await self._polling.ask(instance, self._settle_polled)
        except BackendError:
            raise
        except ScanguardError as exc:
            log.warning("tickets are left to their own messages: instance=%s error=%s", instance, exc)
            return []

    async def _settle_polled(self, polled: ScanTask, outcome: ScanOutcome, owner: str) -> list[Outgoing]:
        """Save what came of a ticket, unless the task has changed in the meantime."""
        now = self._context.now()
        named = polled.model_copy(update={"lease": owner})  # names the report
        outcome = await self._kept(named, outcome)

        def change(current: ScanTask) -> tuple[ScanTask, datetime | None] | None:
            if (current.state, current.run, current.ticket) != (polled.state, polled.run, polled.ticket):
                return None
            held = current.model_copy(update={"lease": owner})
            settled = after(held, outcome, now, self._limits).model_copy(update={"lease": ""})
            return settled, due(settled, self._limits.rearm_at(now), slack=POLLED_GRACE)

        stored = await self._store.update(ScanTask, polled.id, "", change)
        if stored is None or stored.document.run != polled.run:
            return []
        if not self._is_polled_with_others(stored.document):
            await self._polling.withdraw(polled)
        return await self._following(polled, stored.document)

    async def _kept(self, task: ScanTask, outcome: ScanOutcome) -> ScanOutcome:
        """The outcome, its report stored if it is one of this image."""
        if not isinstance(outcome, ScanReport):
            return outcome
        try:
            await self._backend.reports.put(report_name(task), belonging(outcome, task).model_dump_json().encode())
        except BackendError:
            raise
        except ScanguardError as exc:
            return exc
        return outcome

    async def _ended(self, task: ScanTask, *, failed_before: bool = False) -> list[Outgoing]:
        """Say so to everybody who waits, and keep the list of dead letters true."""
        if task.state is TaskState.FAILED:
            await self._context.dead.note(task)
        elif failed_before:
            await self._context.dead.forget(DeadKind.SCAN, task.id)
        return await self._wake(task.id)

    async def _wake(self, task_id: str, after: str = "") -> list[Outgoing]:
        """Wake everybody who waits, a page at a time."""
        rows = await self._backend.state.page(Waiter.TABLE, task_id, after=after, limit=WAKE_PAGE)
        waiters = [read_document(Waiter, row) for row in rows]
        link_to(waiter.traceparent for waiter in waiters)
        woken = [Outgoing(assess_message(one.assessment, one.lane, one.traceparent)) for one in waiters]
        if len(rows) == WAKE_PAGE:
            woken.append(Outgoing(wake_message(task_id, waiters[-1].lane, rows[-1].key, current_traceparent())))
        return woken


def _later(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment > now
