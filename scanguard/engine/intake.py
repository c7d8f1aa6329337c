"""Ids, and the message that takes an event in: all that an acknowledgement needs of the engine."""

from __future__ import annotations

import hashlib
from json.encoder import encode_basestring_ascii as quoted
from typing import Final

from scanguard.model.deployment import Event
from scanguard.ports import Lane, Message, MessageKind

ID_LENGTH: Final = 32


def stable_id(*parts: object) -> str:
    """32 hex characters that depend on every part and on where one part ends: keys never collide."""
    text = ", ".join([quoted(str(part)) for part in parts])  # as json.dumps writes a list, in half the time
    return hashlib.sha256(f"[{text}]".encode()).hexdigest()[:ID_LENGTH]


def assessment_id(event: Event) -> str:
    """The same event delivered twice is the same assessment."""
    return stable_id("assessment", event.source, event.id, event.resource_id.lower())


def intake_message(event: Event, lane: Lane, *, force: bool = False, traceparent: str = "") -> Message:
    """The message that carries an event, and makes an assessment of it."""
    body = {"event": event.model_dump(mode="json"), "force": force}
    kind = MessageKind.INTAKE
    return Message(kind=kind, id=assessment_id(event), lane=lane, body=body, traceparent=traceparent)
