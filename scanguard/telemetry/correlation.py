"""Which work is in hand: one id from an event to its notifications, on every log record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_CURRENT: ContextVar[str] = ContextVar("scanguard_correlation", default="")


def correlation_id() -> str:
    """The id of the assessment, or of the scan task, whose message is in hand; empty between messages."""
    return _CURRENT.get()


@contextmanager
def correlating(id: str) -> Iterator[None]:
    """Everything inside, tasks and threads that start there included, works for this id."""
    token = _CURRENT.set(id)
    try:
        yield
    finally:
        _CURRENT.reset(token)
