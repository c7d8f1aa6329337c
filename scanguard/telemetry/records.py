"""Log records made fit to leave: correlated, without credentials, bounded, and never a reason to fail."""

from __future__ import annotations

import logging
import math
import traceback
from typing import Final

from scanguard.telemetry.correlation import correlation_id
from scanguard.telemetry.redact import redact

MAX_MESSAGE: Final = 8_000
"""Characters of a message, and of an extra field, that are logged."""
MAX_TRACEBACK: Final = 8_000
"""Characters of a traceback that are logged: the beginning, and the end with the exception itself."""
MAX_EXTRAS: Final = 40
"""Extra fields of one record that are logged."""
_HEAD: Final = 2_000
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_OURS: Final = frozenset({"correlation_id", "exception_type"})
Scalar = str | int | float | bool | None


class SafeRecords(logging.Filter):
    """Lets every record through, made safe; put it on each handler that writes to where people read.

    The record itself is changed (before Python 3.12 a handler's filter cannot hand on another one), so a handler
    that comes later sees the safe text as well.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Resolve the message, take out what nobody may read, and say which work it belongs to."""
        record.exc_text, record.exception_type = _exception(record)
        record.exc_info = None
        record.msg, record.args = shortened(redact(_message(record))), ()
        record.name = shortened(redact(record.name), 200)
        record.stack_info = None if not record.stack_info else middle_cut(redact(record.stack_info))
        given = vars(record).get("correlation_id") or correlation_id()
        for number, key in enumerate(sorted(set(vars(record)) - _STANDARD - _OURS)):
            value = vars(record).pop(key)
            if number < MAX_EXTRAS:
                setattr(record, shortened(redact(key), 200), cleaned(value))
        record.correlation_id = shortened(redact(_text(given)), 200)
        return True


def extras(record: logging.LogRecord) -> dict[str, Scalar]:
    """The fields a record carries beyond those of every record, as :class:`SafeRecords` left them."""
    return {key: vars(record)[key] for key in sorted(set(vars(record)) - _STANDARD - _OURS)}


def cleaned(value: object) -> Scalar:
    """A number as it is; anything else as text, without credentials."""
    if value is None or isinstance(value, bool):
        return value
    text = _text(value)
    shown = redact(text)
    is_number = isinstance(value, int | float) and type(value) in (int, float) and math.isfinite(value)
    return value if is_number and shown == text else shortened(shown)  # type: ignore[return-value]  # it is a number


def shortened(text: str, limit: int = MAX_MESSAGE) -> str:
    """At most ``limit`` characters, the last an ellipsis when something was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def middle_cut(text: str, limit: int = MAX_TRACEBACK) -> str:
    """At most about ``limit`` characters: where it began, and how it ended."""
    if len(text) <= limit:
        return text
    left_out = len(text) - limit
    return f"{text[:_HEAD]}\n… {left_out} characters …\n{text[-(limit - _HEAD) :]}"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as exc:  # a filter that raises would end the work that only wanted to log
        return f"{_text(record.msg)} [arguments do not fit: {type(exc).__name__}]"


def _exception(record: logging.LogRecord) -> tuple[str | None, str]:
    """The traceback and the type of what is being raised."""
    if not record.exc_info or record.exc_info[0] is None:
        text = vars(record).get("exc_text")
        return (middle_cut(redact(text)) if text else None), str(vars(record).get("exception_type", ""))
    kind = record.exc_info[0]
    try:
        text = "".join(_bounded(line) for line in traceback.format_exception(*record.exc_info)).rstrip("\n")
    except Exception as exc:  # an exception that cannot be shown
        text = f"[no traceback: {type(exc).__name__}]"
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return middle_cut(text), shortened(redact(name), 200)


def _bounded(line: str) -> str:
    """One entry of a traceback; each is looked at by itself, so that a huge one hides no other."""
    return middle_cut(redact(line))


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as exc:  # whatever a plugin passes in
        return f"[{type(value).__name__} without text: {type(exc).__name__}]"
