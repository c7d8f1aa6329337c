"""Polling many scans with one request, for scanners that offer it.

The tickets of an instance are polled by one worker at a time, a page a message: the poller's row holds the lease,
when to ask next, and how far the round has come. Each task stays the truth about itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final

from scanguard.engine.context import EngineContext
from scanguard.engine.documents import Document, ScanTask, TaskState
from scanguard.engine.guard import call_plugin
from scanguard.engine.lease import Lease
from scanguard.engine.messages import poll_message
from scanguard.engine.plan import HostedScanner
from scanguard.engine.quota import Errand
from scanguard.engine.store import read_document
from scanguard.engine.transitions import ScanOutcome
from scanguard.errors import (
    BackendError,
    PluginContractError,
    ScanError,
    ScanguardError,
    ScannerThrottledError,
    ScanTimeoutError,
)
from scanguard.hooks import Ticket
from scanguard.model.base import Instant
from scanguard.model.report import ScanReport
from scanguard.ports import Outgoing, Row
from scanguard.tokens import unique_token

POLLED_GRACE: Final = timedelta(minutes=10)
"""How long after its time a task that others are polled with is looked after on its own."""
TOGETHER: Final = timedelta(seconds=5)
"""Polls that are due within so long of each other go out together."""


class Polled(Document):
    """A task that a poller asks after; its row is there while the task has a ticket."""

    TABLE: ClassVar[str] = "polled"

    instance: str
    task: str

    @property
    def address(self) -> tuple[str, str]:
        """Partition and key of the row."""
        return self.instance, self.task


class Poller(Document):
    """The poller of one scanner instance.

    ``turn_at`` is when the quota lets it ask, ``slot`` the same when that is booked. ``after`` is where the round
    goes on; ``round_next`` the earliest moment that a ticket of this round wants to be
    asked after again; ``wanted_at`` the same for tickets that came during the round.
    """

    TABLE: ClassVar[str] = "poller"

    instance: str
    next_at: Instant | None = None
    wanted_at: Instant | None = None
    round_next: Instant | None = None
    after: str = ""
    turn_at: Instant | None = None
    slot: Instant | None = None
    lease: str = ""
    lease_until: Instant | None = None

    @property
    def address(self) -> tuple[str, str]:
        """Partition and key of the row."""
        return self.instance, ""


Settle = Callable[[ScanTask, ScanOutcome, str], Awaitable[list[Outgoing]]]
"""Saves what came of a poll of a task, by the poller that holds this token; the messages that follow."""


class Polling:
    """Asks after the tickets of scanners that offer ``poll_many``."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._store = context.store

    async def enrol(self, task: ScanTask) -> list[Outgoing]:
        """See that a task with a ticket is asked after; the message that does it."""
        await self._store.ensure(Polled(instance=task.instance, task=task.id), None)
        await self._store.ensure(Poller(instance=task.instance), None)
        now = self._context.now()
        at = max(task.not_before or now, now)

        def change(poller: Poller) -> tuple[Poller, datetime] | None:
            wanted = _earliest(poller.wanted_at, at)
            if poller.lease or poller.after:  # a round is under way, and may have passed this task already
                held = poller.lease_until or self._due(poller.next_at or at)
                return poller.model_copy(update={"wanted_at": wanted}), held
            following = _earliest(poller.next_at, max(at, poller.turn_at or at))
            if following is None or poller.next_at == following:
                return None
            return poller.model_copy(update={"next_at": following}), self._due(following)

        stored = await self._store.update(Poller, task.instance, "", change)
        soon = stored is not None and stored.document.next_at == at and not stored.document.lease
        return [Outgoing(poll_message(task.instance), at)] if soon else []

    async def withdraw(self, task: ScanTask) -> None:
        """The task has no ticket any more."""
        await self._store.state.delete(Row(Polled.TABLE, task.instance, task.id, {}))

    async def ask(self, instance: str, settle: Settle) -> list[Outgoing]:
        """Poll one page of an instance's tickets, settle what came of each, and say when to go on."""
        hosted = self._context.host.scanner(instance)
        waiting = await self._wait(hosted)
        if waiting is not None:
            return waiting
        owner = unique_token()
        poller = await self._acquire(instance, owner)
        if poller is None:
            return []
        messages = await Lease(self._context, Poller, instance, owner).run(self._page(hosted, poller, settle))
        return messages or []

    async def _wait(self, hosted: HostedScanner) -> list[Outgoing] | None:
        """None when the instance may be asked now, else the message that comes when it may."""
        now = self._context.now()
        stored = await self._store.get(Poller, hosted.instance)
        if stored is None:
            return []
        poller = stored.document
        is_held = poller.lease_until is not None and poller.lease_until > now
        if poller.next_at is None or poller.next_at > now or is_held:
            return []
        count = hosted.spec.requests_per_call
        turn = await self._context.quotas.take(hosted.limited, count, bulk=False, errand=Errand.POLL, held=poller.slot)
        if turn.is_now:
            return None
        later = poller.model_copy(update={"next_at": turn.at, "turn_at": turn.at, "slot": turn.slot})
        await self._store.replace(stored, later, self._due(turn.at))
        return [Outgoing(poll_message(hosted.instance), turn.at)]

    async def _acquire(self, instance: str, owner: str) -> Poller | None:
        now = self._context.now()

        def change(poller: Poller) -> tuple[Poller, datetime] | None:
            is_held = poller.lease_until is not None and poller.lease_until > now
            if poller.next_at is None or poller.next_at > now or is_held:
                return None
            until = self._context.limits.lease_until(now)
            return poller.model_copy(
                update={"lease": owner, "lease_until": until, "turn_at": None, "slot": None}
            ), until

        stored = await self._store.update(Poller, instance, "", change)
        return stored.document if stored and stored.document.lease == owner else None

    async def _page(self, hosted: HostedScanner, poller: Poller, settle: Settle) -> list[Outgoing]:
        limit = hosted.spec.poll_many
        rows = await self._store.state.page(Polled.TABLE, poller.instance, after=poller.after, limit=limit)
        due: list[ScanTask] = []
        waiting: datetime | None = None
        outcomes: list[tuple[ScanTask, ScanOutcome]] = []
        now = self._context.now()
        for row in rows:
            stored = await self._store.get(ScanTask, read_document(Polled, row).task)
            task = stored.document if stored else None
            if task is None or task.state is not TaskState.SUBMITTED:
                await self._store.state.delete(row)
            elif now >= task.deadline:
                outcomes.append((task, ScanTimeoutError(f"{hosted.instance} did not finish by its deadline")))
            elif task.not_before and task.not_before > now + TOGETHER:
                waiting = _earliest(waiting, task.not_before)
            else:
                due.append(task)
        if due:
            outcomes += zip(due, await self._outcomes(hosted, due), strict=True)
        messages = []
        for task, outcome in outcomes:
            messages += await settle(task, outcome, poller.lease)
        after = rows[-1].key if len(rows) == limit else ""
        return messages + await self._release(poller, after, waiting)

    async def _outcomes(self, hosted: HostedScanner, tasks: Sequence[ScanTask]) -> Sequence[ScanOutcome]:
        """One outcome for each task; what concerns all is everybody's outcome."""
        tickets = [Ticket(task.ticket or {}, task.ticket_not_before or task.created_at) for task in tasks]
        try:
            scanner = hosted.open()
            answers = await call_plugin(
                scanner.poll_many(tickets),  # type: ignore[attr-defined]  # offered, says the spec
                plugin=hosted.instance,
                what="poll_many",
                timeout_s=hosted.spec.step_timeout_s,
                timeout_error=ScanTimeoutError,
                returns=(list, tuple),
            )
            return _checked(answers, len(tickets), hosted.instance)
        except BackendError:
            raise
        except ScanguardError as exc:
            if isinstance(exc, ScannerThrottledError):
                at = self._context.limits.retry_at(self._context.now(), 1, exc.retry_after_s)
                await self._context.quotas.close(hosted.base, at)
            return [exc] * len(tasks)

    async def _release(self, held: Poller, after: str, waiting: datetime | None) -> list[Outgoing]:
        """Say when to ask next: at once while the round goes on."""
        now = self._context.now()

        def change(poller: Poller) -> tuple[Poller, datetime | None] | None:
            if poller.lease != held.lease:
                return None
            known = _earliest(poller.round_next, waiting)
            following = now if after else _earliest(known, poller.wanted_at)
            update = {
                "next_at": following,
                "after": after,
                "round_next": known if after else None,
                "wanted_at": poller.wanted_at if after else None,
                "lease": "",
                "lease_until": None,
            }
            return poller.model_copy(update=update), None if following is None else self._due(following)

        stored = await self._store.update(Poller, held.instance, "", change)
        if stored is None or stored.document.lease or stored.document.next_at is None:
            return []
        return [Outgoing(poll_message(held.instance), stored.document.next_at)]

    def _due(self, at: datetime) -> datetime:
        return self._context.limits.rearm_at(max(at, self._context.now()))


def _checked(answers: Sequence[object], expected: int, instance: str) -> list[ScanOutcome]:
    known: list[ScanOutcome] = [answer for answer in answers if isinstance(answer, ScanReport | Ticket | ScanError)]
    if len(known) != len(answers) or len(known) != expected:
        raise PluginContractError(
            f"{instance} answered {expected} tickets with {len(answers)} answers, of which {len(known)} are reports, "
            "tickets or scan errors",
            plugin=instance,
        )
    return known


def _earliest(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((moment for moment in (one, other) if moment is not None), default=None)
