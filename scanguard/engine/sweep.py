"""Periodic jobs, a page at a time. So far one: send again the message of every row that is overdue."""

from __future__ import annotations

from scanguard.engine.context import EngineContext
from scanguard.engine.documents import Assessment, OutboxItem, ScanTask
from scanguard.engine.messages import REARM, assess_message, deliver_message, poll_message, scan_message
from scanguard.engine.polling import Poller
from scanguard.engine.store import NewerSchemaError, read_document
from scanguard.errors import BackendError, ConflictError
from scanguard.ports import Message, Outgoing, Row

PAGE = 100


class SweepHandler:
    """Handles ``sweep`` messages; the message's id names the job."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context

    async def handle(self, message: Message) -> list[Outgoing]:
        """Do one page of a job, and ask for the next when there may be more."""
        if message.id != REARM:
            raise BackendError(f"there is no periodic job named {message.id!r} in this version")
        now = self._context.now()
        rows = await self._context.backend.state.overdue(now, limit=PAGE)
        messages = []
        for row in rows:
            try:
                await self._context.backend.state.replace(row.with_(row.body, self._context.limits.rearm_at(now)))
            except ConflictError:
                continue  # somebody works on it right now
            messages += _wake_up(row)
        if len(rows) == PAGE:
            messages.append(Outgoing(message))
        return messages


def _wake_up(row: Row) -> list[Outgoing]:
    try:
        if row.table == Assessment.TABLE:
            assessment = read_document(Assessment, row)
            return [Outgoing(assess_message(assessment.id, assessment.lane, assessment.traceparent))]
        if row.table == ScanTask.TABLE:
            return [Outgoing(scan_message(read_document(ScanTask, row)))]
        if row.table == Poller.TABLE:
            return [Outgoing(poll_message(read_document(Poller, row).instance))]
        if row.table == OutboxItem.TABLE:
            return [Outgoing(deliver_message(read_document(OutboxItem, row)))]
    except NewerSchemaError:
        pass  # a newer worker sweeps too
    return []
