"""Stopping work on purpose: the assessment becomes a dead letter that says so, and scans nobody waits for end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from scanguard.engine.context import EngineContext
from scanguard.engine.dead import reopened
from scanguard.engine.documents import (
    CANCELLED,
    TERMINAL_TASK,
    Assessment,
    AssessmentState,
    ScanTask,
    TaskState,
    Waiter,
)
from scanguard.engine.messages import scan_message
from scanguard.ports import Outgoing, Row

_UNDER_WAY = frozenset({AssessmentState.NEW, AssessmentState.DESCRIBED, AssessmentState.WAITING})


async def cancel(context: EngineContext, assessment: str, reason: str) -> tuple[bool, list[Outgoing]]:
    """Stop an assessment that has no verdict yet.

    Returns:
        Whether it was under way, and messages to send. A scan that another deployment waits for goes on; one that
        nobody waits for any more ends, and the worker that has it in hand drops it at its next sign of life.
    """
    was_under_way = False

    def change(one: Assessment) -> tuple[Assessment, None] | None:
        nonlocal was_under_way
        was_under_way = one.state in _UNDER_WAY
        if not was_under_way:
            return None
        stopped = {"state": AssessmentState.DEAD, "error": f"cancelled: {reason}", "error_kind": CANCELLED}
        return one.model_copy(update=stopped), None

    stored = await context.store.update(Assessment, assessment, "", change)
    if stored is None or not was_under_way:
        return False, []
    await context.dead.note(stored.document)
    messages: list[Outgoing] = []
    for name in sorted(stored.document.tasks):
        await context.store.state.delete(Row(Waiter.TABLE, name, assessment, {}))
        messages += await _end_unless_awaited(context, name)
    return True, messages


async def _end_unless_awaited(context: EngineContext, name: str) -> list[Outgoing]:
    if await _is_awaited(context, name):
        return []
    now = context.now()
    ended = await context.store.update(ScanTask, name, "", _ending(now))
    if ended is None or ended.document.error_kind != CANCELLED or not await _is_awaited(context, name):
        return []
    # Somebody began to wait in this very moment: the scan starts again for them.
    deadline = now + timedelta(seconds=context.host.scanner(ended.document.instance).spec.scan_timeout_s)
    due = context.limits.rearm_at(now)
    again = await context.store.update(ScanTask, name, "", lambda task: _again(task, now, deadline, due))
    return [Outgoing(scan_message(again.document))] if again else []


async def _is_awaited(context: EngineContext, name: str) -> bool:
    return bool(await context.backend.state.page(Waiter.TABLE, name, limit=1))


def _ending(now: datetime) -> Callable[[ScanTask], tuple[ScanTask, None] | None]:
    def change(task: ScanTask) -> tuple[ScanTask, None] | None:
        if task.state in TERMINAL_TASK:
            return None
        ended = {"state": TaskState.FAILED, "failed_at": now, "lease": "", "lease_until": None, "ticket": None}
        said = {"error": "nobody waits for it any more", "error_kind": CANCELLED}
        return task.model_copy(update={**ended, **said, "slot": None, "not_before": None}), None

    return change


def _again(task: ScanTask, now: datetime, deadline: datetime, due: datetime) -> tuple[ScanTask, datetime] | None:
    return (reopened(task, now, deadline), due) if task.error_kind == CANCELLED else None
