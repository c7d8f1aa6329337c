"""The messages that wake the engine; each carries ids only."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from scanguard.engine.documents import Assessment, OutboxItem, ScanTask
from scanguard.engine.intake import intake_message as intake_message  # noqa: PLC0414  # beside the others
from scanguard.ports import Lane, Message, MessageKind, Outgoing

POLL: Final = "poll"
WAKE_AFTER: Final = "wake_after"
LATE: Final = timedelta(minutes=1)
"""A scan that has to wait no longer than that for its turn is not worth passing over."""
REARM: Final = "rearm"
"""The periodic job that sends again the message of every row that is overdue."""


JOB: Final = "job:"
"""What the ids of messages of plugins' periodic jobs begin with; the instance follows."""
PAGE: Final = "page"


def assess_message(assessment: str, lane: Lane, traceparent: str = "") -> Message:
    """The message that advances an assessment."""
    return Message(kind=MessageKind.ASSESS, id=assessment, lane=lane, traceparent=traceparent)


def wake_up(assessment: Assessment) -> Message:
    """The message that advances this assessment."""
    return assess_message(assessment.id, assessment.lane, assessment.traceparent)


def scan_message(task: ScanTask) -> Message:
    """The message that advances a task."""
    return Message(kind=MessageKind.SCAN, id=task.id, lane=task.lane, traceparent=task.traceparent)


def wake_message(task: str, lane: Lane, after: str = "", traceparent: str = "") -> Message:
    """The message that wakes who waits for a task, from a row on."""
    return Message(kind=MessageKind.SCAN, id=task, lane=lane, body={WAKE_AFTER: after}, traceparent=traceparent)


def passed_over(task: ScanTask, now: datetime) -> list[Outgoing]:
    """What tells those who have another scanner to turn to that this one will be long."""
    is_late = task.not_before is not None and task.not_before >= now + LATE
    wake = wake_message(task.id, task.lane, traceparent=task.traceparent)
    return [Outgoing(wake)] if task.has_fallback and is_late else []


def poll_message(instance: str) -> Message:
    """The message that polls a page of a scanner instance's tickets."""
    return Message(kind=MessageKind.SCAN, id=instance, body={POLL: True})


def deliver_message(item: OutboxItem) -> Message:
    """The message that advances an outbox item."""
    return Message(
        kind=MessageKind.DELIVER, id=f"{item.assessment}/{item.id}", lane=item.lane, traceparent=item.traceparent
    )


def sweep_message(job: str = REARM) -> Message:
    """The message that starts a periodic job."""
    return Message(kind=MessageKind.SWEEP, id=job)


def job_message(instance: str, page: int) -> Message:
    """The message that does a page of a plugin's job, if it is still to be done."""
    return Message(kind=MessageKind.SWEEP, id=f"{JOB}{instance}", lane=Lane.BULK, body={PAGE: page})


def correlation_of(message: Message) -> str:
    """The id that log records carry while a message is in hand: the assessment's, or the scan task's."""
    return message.id.partition("/")[0]
