"""Whether a scan task may send its next request now, or when its turn is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from scanguard.engine.context import EngineContext
from scanguard.engine.documents import ScanTask, TaskState
from scanguard.engine.messages import passed_over, scan_message
from scanguard.engine.plan import HostedScanner, Progress
from scanguard.engine.quota import Errand, Turn
from scanguard.engine.store import Stored
from scanguard.errors import ConflictError, ScanguardError
from scanguard.ports import Lane, Outgoing

LONGEST: Final = timedelta(hours=24)
"""How long waiting, for the service or for a turn, may put off the end of a scan."""

LATE: Final = timedelta(seconds=60)
"""How late a message may come: queues are looked into now and then."""


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
        count = requests_of(task, hosted)
        if count == 0 or self._context.now() >= task.deadline:
            return None
        turn = await self._context.quotas.take(
            hosted.limited, count, bulk=task.priority is Lane.BULK, errand=_errand(task), held=task.slot
        )
        return None if turn.is_now else await self._postpone(stored, hosted, turn, count)

    async def _postpone(
        self, stored: Stored[ScanTask], hosted: HostedScanner, turn: Turn, count: int
    ) -> list[Outgoing]:
        task = stored.document
        deadline = _deadline(task, hosted, turn)
        slot = turn.slot if turn.at < deadline else None
        at = min(turn.at, deadline)
        waiting = task.model_copy(update={"slot": slot, "not_before": at, "deadline": deadline})
        due = self._context.limits.rearm_at(max(at, self._context.now()))  # a message a little late is not sent twice
        try:
            await self._context.store.replace(stored, waiting, due)
        except ConflictError:
            if turn.slot != task.slot:
                await self._context.quotas.give_back(hosted.limited, turn.slot, count, _errand(task))
            return []  # somebody else has the task in hand
        if slot is None:
            await self._context.quotas.give_back(hosted.limited, turn.slot, count, _errand(task))
        self._context.observe(Progress("", task.digest, task.instance, "waiting", f"for its turn, {at:%H:%M:%S} UTC"))
        return [Outgoing(scan_message(waiting), at), *passed_over(waiting, self._context.now())]


def _errand(task: ScanTask) -> Errand:
    """A ticket that says how much it needs is about to give its result."""
    if task.state is not TaskState.SUBMITTED:
        return Errand.SUBMIT
    return Errand.POLL if task.ticket_requests is None else Errand.RESULT


def _deadline(task: ScanTask, hosted: HostedScanner, turn: Turn) -> datetime:
    """The time a scan may take starts with its submit, and it is asked after at least once at its end."""
    if task.state is TaskState.PENDING:
        return max(task.deadline, turn.at + timedelta(seconds=hosted.spec.scan_timeout_s))
    return max(task.deadline, min(turn.at + LATE, task.created_at + LONGEST))


def requests_of(task: ScanTask, hosted: HostedScanner) -> int:
    """How many requests the task's next step may send: after a crash it asks before it submits."""
    if task.state is TaskState.SUBMITTED and task.ticket_requests is not None:
        return task.ticket_requests
    return hosted.spec.requests_per_call * (2 if task.state is TaskState.INTENT else 1)
