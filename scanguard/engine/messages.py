"""The messages that wake the engine; each carries ids only."""

from __future__ import annotations

from typing import Final

from scanguard.engine.documents import OutboxItem, ScanTask
from scanguard.ports import Lane, Message, MessageKind

POLL: Final = "poll"
REARM: Final = "rearm"
"""The periodic job that sends again the message of every row that is overdue."""


def assess_message(assessment: str, lane: Lane) -> Message:
    """The message that advances an assessment."""
    return Message(kind=MessageKind.ASSESS, id=assessment, lane=lane)


def scan_message(task: ScanTask) -> Message:
    """The message that advances a task."""
    return Message(kind=MessageKind.SCAN, id=task.id, lane=task.lane)


def poll_message(instance: str) -> Message:
    """The message that polls a page of a scanner instance's tickets."""
    return Message(kind=MessageKind.SCAN, id=instance, body={POLL: True})


def deliver_message(item: OutboxItem) -> Message:
    """The message that advances an outbox item."""
    return Message(kind=MessageKind.DELIVER, id=f"{item.assessment}/{item.id}", lane=item.lane)


def sweep_message(job: str = REARM) -> Message:
    """The message that starts a periodic job."""
    return Message(kind=MessageKind.SWEEP, id=job)


def correlation_of(message: Message) -> str:
    """The id that log records carry while a message is in hand: the assessment's, or the scan task's."""
    return message.id.partition("/")[0]
