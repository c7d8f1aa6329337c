"""Messages as they stand in the queue: JSON of :class:`scanguard.Message` in base64, as the Functions host expects.

Two keys may stand beside the message's own: ``not_before`` (ISO 8601), of one that is wanted later than a queue can
hide it (7 days), and ``blob``, the name of the document that holds the body of one larger than a queue takes (64 KiB).
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import JsonValue, ValidationError

from scanguard import Message

MAX_BYTES: Final = 48 * 1024
"""Longest text before base64, which makes four bytes of three."""
MAX_HIDDEN_S: Final = 7 * 24 * 3600
"""Longest time that a queue hides a message."""
EARLY_S: Final = 1.0
"""A message that arrives earlier than this before its time is hidden again."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What arrived.

    Attributes:
        message: None when the text cannot be read; ``raw`` then says what it was.
        not_before: Not to be handled earlier.
        blob: Where the body is; empty when it is in the message.
    """

    message: Message | None
    raw: str
    not_before: datetime | None = None
    blob: str = ""

    def wait_s(self, now: datetime) -> float:
        """Seconds for which it has to be hidden again; 0 when its time has come."""
        if self.not_before is None:
            return 0.0
        wait = (self.not_before - now).total_seconds()
        return wait if wait > EARLY_S else 0.0

    def with_body(self, data: bytes) -> Wire:
        """The same with the body that its blob holds."""
        return read_text(json.dumps({**json.loads(self.raw), "blob": "", "body": json.loads(data)}))


def hidden_s(not_before: datetime | None, now: datetime) -> int:
    """For how many whole seconds the queue hides a message: never less than asked for, at most 7 days."""
    return 0 if not_before is None else min(MAX_HIDDEN_S, max(0, math.ceil((not_before - now).total_seconds())))


def text_of(message: Message, not_before: datetime | None, now: datetime, *, blob: str = "") -> str:
    """The JSON text; the body is left out when it is in a blob."""
    document: dict[str, Any] = message.model_dump(mode="json", exclude={"body"} if blob else None)
    if blob:
        document["blob"] = blob
    if not_before is not None and (not_before - now).total_seconds() > MAX_HIDDEN_S:
        document["not_before"] = not_before.isoformat()
    return json.dumps(document, separators=(",", ":"))


def body_of(message: Message) -> bytes:
    """What goes into a blob."""
    body: JsonValue = message.model_dump(mode="json")["body"]
    return json.dumps(body).encode()


def in_base64(text: str) -> str:
    """As it is sent."""
    return base64.b64encode(text.encode()).decode()


def read_base64(content: object) -> Wire:
    """Read what a queue gave; never raises."""
    sent = str(content)
    try:
        return read_text(base64.b64decode(sent.encode("ascii"), validate=True).decode("utf-8"))
    except (binascii.Error, ValueError):
        return Wire(None, sent)


def read_text(text: str) -> Wire:
    """Read the JSON text, as a queue trigger gets it; never raises."""
    try:
        document = json.loads(text)
        not_before, blob = document.pop("not_before", None), document.pop("blob", "")
        moment = None if not_before is None else datetime.fromisoformat(not_before)
        if moment is not None and moment.tzinfo is None:
            return Wire(None, text)
        return Wire(Message.model_validate_json(json.dumps(document)), text, moment, str(blob))
    except (ValidationError, ValueError, TypeError, AttributeError, RecursionError):
        return Wire(None, text)
