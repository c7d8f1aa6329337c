"""Whether a scan task may send its next request now, or when its turn is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from scanguard.engine.context import EngineContext
from scanguard.engine.documents import ScanTask, TaskState
from scanguard.engine.messages import passed_over, scan_message
from scanguard.engine.plan import HostedScanner, Limited, Progress
from scanguard.engine.quota import Errand, Turn
from scanguard.engine.slots import SlotBook
from scanguard.engine.store import Stored
from scanguard.errors import ConflictError, ScanguardError
from scanguard.ports import Lane, Outgoing

LONGEST: Final = timedelta(hours=24)
"""How long waiting, for the service or for a turn, may put off the end of a scan."""


class Turns:
    """Takes slots of quotas for scan tasks."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context

    async def wait(self, stored: Stored[ScanTask]) -> list[Outgoing] | None:
        """None when the task may go on now, else the message that comes when it is its turn."""
        task = stored.document
        try:
            hosted = self._context.host.scanner(task.instance)
        except ScanguardError:
            return None  # the step itself says what is wrong with the instance
        if self._context.now() >= task.deadline or await is_now(self._context, hosted.limited, task.slot):
            return None
        count = requests_of(task, hosted)
        if count == 0:
            return None
        turn = await self._context.quotas.take(
            hosted.limited, count, bulk=task.priority is Lane.BULK, errand=_errand(task)
        )
        if turn.booked and turn.at <= self._context.now():
            return None
        return await self._postpone(stored, hosted, turn, count)

    async def _postpone(
        self, stored: Stored[ScanTask], hosted: HostedScanner, turn: Turn, count: int
    ) -> list[Outgoing]:
        task = stored.document
        deadline = _deadline(task, hosted, turn)
        keeps = turn.booked and turn.at < deadline
        at = min(turn.at, deadline)
        waiting = task.model_copy(update={"slot": at if keeps else None, "not_before": at, "deadline": deadline})
        due = self._context.limits.rearm_at(max(at, self._context.now()))  # a message a little late is not sent twice
        try:
            await self._context.store.replace(stored, waiting, due)
        except ConflictError:
            await self._context.quotas.give_back(hosted.limited, turn, count, _errand(task))
            return []  # somebody else has the task in hand
        if turn.booked and not keeps:
            await self._context.quotas.give_back(hosted.limited, turn, count, _errand(task))
        self._context.observe(Progress("", task.digest, task.instance, "waiting", f"for its turn, {at:%H:%M:%S} UTC"))
        return [Outgoing(scan_message(waiting), at), *passed_over(waiting, self._context.now())]


def _errand(task: ScanTask) -> Errand:
    """A ticket that says how much it needs is about to give its result."""
    if task.state is not TaskState.SUBMITTED:
        return Errand.SUBMIT
    return Errand.POLL if task.ticket_requests is None else Errand.RESULT


async def is_now(context: EngineContext, limited: Limited, slot: datetime | None, *, at_least_s: float = 0.0) -> bool:
    """Whether a slot that was booked before is this moment, or so little ago that it still holds."""
    if slot is None or not limited.rates:
        return False
    late = timedelta(seconds=max(at_least_s, SlotBook(limited.rates, {}).late_s))
    return slot <= context.now() <= slot + late and not await context.quotas.is_closed(limited.name)


def _deadline(task: ScanTask, hosted: HostedScanner, turn: Turn) -> datetime:
    """The time a scan may take starts with its submit, and it is asked after at least once at its end."""
    if task.state is TaskState.PENDING:
        return max(task.deadline, turn.at + timedelta(seconds=hosted.spec.scan_timeout_s))
    asked = turn.at + timedelta(seconds=turn.late_s + 1)
    return max(task.deadline, min(asked, task.created_at + LONGEST))


def requests_of(task: ScanTask, hosted: HostedScanner) -> int:
    """How many requests the task's next step may send: after a crash it asks before it submits."""
    if task.state is TaskState.SUBMITTED and task.ticket_requests is not None:
        return task.ticket_requests
    return hosted.spec.requests_per_call * (2 if task.state is TaskState.INTENT else 1)
