"""Where log records go: one handler on standard error, one line a record."""

from __future__ import annotations

import logging
from typing import Final, TextIO

from scanguard.telemetry.formats import JsonFormatter, KeyValueFormatter
from scanguard.telemetry.records import SafeRecords

CHATTY: Final = ("httpx", "httpcore", "azure", "urllib3", "asyncio")
"""Libraries that would write whole addresses and headers, with whatever stands in them."""


def log_handler(form: str = "text", stream: TextIO | None = None) -> logging.Handler:
    """A handler that writes safe lines to a stream, standard error by default; ``form`` is one of ``FORMATS``."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(SafeRecords())
    handler.setFormatter(JsonFormatter() if form == "json" else KeyValueFormatter())
    return handler


def configure_logs(level: str, form: str = "text") -> None:
    """Send every record of ``level`` and above to standard error; calling it again replaces the former set-up."""
    handler = log_handler(form)
    handler.setLevel(level.upper())  # what is only exported, such as events, has a level of its own
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.raiseExceptions = False
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
