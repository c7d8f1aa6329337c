"""Logs: one line a record on standard error, ``key=value``, for people and for machines."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from typing import Final

from scanguard.render.text import neutralise

LEVELS: Final = ("debug", "info", "warning", "error")
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_BARE: Final = re.compile(r"[\w.:/@+-]+", re.ASCII)
_WIRE: Final = ("httpx", "httpcore", "asyncio")
"""Libraries that would write whole addresses, with whatever stands in their query."""

_SECRETS: Final = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 ***"),
    (re.compile(r"://[^/@\s]+@"), "://***@"),
    (re.compile(r"(?i)\b(password|passwd|token|secret|api[_-]?key|sig|signature)=[^&\s\"']+"), r"\1=***"),
)


class KeyValueFormatter(logging.Formatter):
    """``time=… level=… logger=… msg="…"`` and whatever the record carries besides, such as ``correlation_id``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, without control characters and without what looks like a credential."""
        pairs = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in _STANDARD},
        }
        if record.exc_info:
            pairs["error"] = self.formatException(record.exc_info)
        return " ".join(f"{key}={_quoted(str(value))}" for key, value in pairs.items())


def _quoted(value: str) -> str:
    text = neutralise(redact(value), limit=8_000)
    if _BARE.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def redact(text: str) -> str:
    """The last fence, for texts of libraries: what looks like a credential is starred out."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def configure_logs(level: str) -> None:
    """Send every record of ``level`` and above to standard error; calling it again replaces the former set-up."""
    handler = logging.StreamHandler()
    handler.setFormatter(KeyValueFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.raiseExceptions = False
    for name in _WIRE:
        logging.getLogger(name).setLevel(logging.WARNING)
