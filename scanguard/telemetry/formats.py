"""Two spellings of a safe record, a line each: ``key=value`` for people, JSON for machines."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Final

from scanguard.render.text import neutralise
from scanguard.telemetry.records import MAX_TRACEBACK, Scalar, extras

_BARE: Final = re.compile(r"[\w.:/@+-]+", re.ASCII)
_LONGEST: Final = MAX_TRACEBACK + 100


def fields(record: logging.LogRecord, message: str) -> dict[str, Scalar]:
    """What a line holds, in its order; ``message`` names the message. Extra fields never replace the others."""
    found: dict[str, Scalar] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        message: record.getMessage(),
    }
    about = vars(record)
    found |= {"correlation_id": about["correlation_id"]} if about.get("correlation_id") else {}
    found |= {"exception.type": about["exception_type"]} if about.get("exception_type") else {}
    found |= {"exception.stacktrace": record.exc_text} if record.exc_text else {}
    found |= {"stack": record.stack_info} if record.stack_info else {}
    for key, value in extras(record).items():
        found[f"extra.{key}" if key in found else key] = value
    return found


class KeyValueFormatter(logging.Formatter):
    """``time=… level=… logger=… msg="…"`` and whatever the record carries besides, such as ``correlation_id``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, without control characters; the record has been through ``SafeRecords``."""
        return " ".join(f"{_key(key)}={_quoted(str(value))}" for key, value in fields(record, "msg").items())


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII: no line break, no escape sequence and no lone surrogate gets through."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; the record has been through ``SafeRecords``."""
        return json.dumps(fields(record, "message"), ensure_ascii=True, allow_nan=False)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _quoted(key)


def _quoted(value: str) -> str:
    text = neutralise(value, limit=_LONGEST)
    if _BARE.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
