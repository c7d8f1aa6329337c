"""Log records for exporters: made safe first, each with the trace it belongs to."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry._logs import LoggerProvider, LogRecord, SeverityNumber
from opentelemetry.context import get_current

from scanguard.telemetry.events import AUDIT, EVENT_NAME, EVENTS
from scanguard.telemetry.records import SafeRecords, Scalar, extras

_SEVERITIES: Final = (
    (logging.CRITICAL, SeverityNumber.FATAL),
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
    (logging.NOTSET, SeverityNumber.DEBUG),
)
_ROOT: Final = "scanguard"
"""Records of this logger and those below it go out; libraries, and the exporters themselves, are none of them."""


class RecordExport(logging.Handler):
    """Gives records to a provider of OpenTelemetry; ``event_attribute`` is where an event's name is repeated."""

    def __init__(self, provider: LoggerProvider, event_attribute: str = "") -> None:
        super().__init__()
        self._provider = provider
        self._event_attribute = event_attribute
        self.addFilter(SafeRecords())

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one safe record on; the provider batches."""
        attributes = self._attributes(record)
        event = attributes.pop(EVENT_NAME, None)
        if event and self._event_attribute:
            attributes[self._event_attribute] = event
        self._provider.get_logger(record.name).emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                observed_timestamp=int(record.created * 1e9),
                context=get_current(),
                severity_text=record.levelname,
                severity_number=next(number for level, number in _SEVERITIES if record.levelno >= level),
                body=record.getMessage(),
                attributes=attributes,
                event_name=str(event) if event else None,
            )
        )

    def _attributes(self, record: logging.LogRecord) -> dict[str, Scalar]:
        about = vars(record)
        found: dict[str, Scalar] = {name: value for name, value in extras(record).items() if value is not None}
        if about.get("correlation_id"):
            found["scanguard.correlation_id"] = about["correlation_id"]
        if about.get("exception_type"):
            found |= {"exception.type": about["exception_type"], "exception.stacktrace": record.exc_text or ""}
            found.setdefault("Component", record.name.removeprefix("scanguard.").removeprefix("plugin."))
            last = (record.exc_text or "").rpartition("\n")[2]
            found["exception.message"] = last.removeprefix(f"{about['exception_type']}: ")
        return found


@contextmanager
def exporting_records(handlers: Sequence[logging.Handler]) -> Iterator[None]:
    """Export the project's records meanwhile; events and audit records whatever level is logged otherwise."""
    root = logging.getLogger(_ROOT)
    levels = {name: logging.getLogger(name).level for name in (EVENTS, AUDIT)}
    for name in levels:
        logging.getLogger(name).setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
