"""The span of a message: it goes on with the trace that the message carries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from scanguard.engine.documents import assessment_id
from scanguard.engine.messages import POLL, REARM, correlation_of
from scanguard.model.deployment import Event
from scanguard.ports import Message, MessageKind
from scanguard.telemetry.traces import Value, Working, span

ATTRIBUTES: Final = ("scanguard.assessment", "scanguard.task", "scanguard.scanner", "scanguard.job")
"""Which of these a span has says what its message is about."""
_ASSESSMENT, _TASK, _SCANNER, _JOB = ATTRIBUTES


@contextmanager
def handling(message: Message) -> Iterator[Working]:
    """Everything inside is work on this message. The look at what is overdue, every few seconds, makes no span."""
    if message.kind is MessageKind.SWEEP and message.id == REARM:
        yield Working()
        return
    with span(
        f"process {message.kind.value}", "consumer", _about(message), parent=message.traceparent, component="engine"
    ) as working:
        yield working


def _about(message: Message) -> dict[str, Value]:
    """Attributes by https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/ (1.40), and our ids."""
    return {
        "messaging.system": "scanguard",
        "messaging.operation.type": "process",
        "messaging.operation.name": f"process {message.kind.value}",
        "messaging.destination.name": message.lane.value,
        _id_of(message): correlation_of(message),
    }


def _id_of(message: Message) -> str:
    match message.kind:
        case MessageKind.SCAN:
            return _SCANNER if POLL in message.body else _TASK
        case MessageKind.SWEEP:
            return _JOB
        case _:
            return _ASSESSMENT


def begun_trace(event: Event, *, is_alone: bool) -> str:
    """The trace of what follows from an event: the caller's, or, of many events at once, one of its own."""
    about = {
        "messaging.system": "scanguard",
        "messaging.operation.type": "send",
        "messaging.operation.name": "send intake",
        "scanguard.assessment": assessment_id(event),
        "scanguard.event.type": event.type,
    }
    with span("send intake", "producer", about, is_root=not is_alone) as working:
        return working.traceparent
