"""One message's way through the engine, whoever drives it: a worker's own queue, or the trigger of a host."""

from __future__ import annotations

import logging
import time

from scanguard.engine.engine import Engine
from scanguard.engine.messages import correlation_of
from scanguard.errors import BackendError, ScanguardError
from scanguard.ports import MESSAGE_SCHEMA_VERSION, Message
from scanguard.telemetry.metrics import count_message

log = logging.getLogger("scanguard.worker")


class ForeignMessageError(BackendError):
    """A message of a newer scanguard, or none of ours: it is given back untouched, for whoever can read it."""


async def advance(engine: Engine, message: Message | None, raw: str = "") -> None:
    """Do a message's work and send what follows; whoever calls acknowledges once this returns.

    Args:
        engine: Does the work, and has the queue.
        message: None when the text could not be read.
        raw: The text that arrived, for the log.

    Errors:
        ForeignMessageError: it is for another version. BackendError: the state, queue or report store failed. Give the
        message back: it has to come again.
    """
    message = own(message, raw)
    began, outcome = time.monotonic(), "stopped"
    try:
        await engine.context.backend.queue.send(await engine.handle(message))
        outcome = "handled"
    except ScanguardError as exc:
        about = {"correlation_id": correlation_of(message)}
        log.warning("kind=%s id=%s comes again: %s", message.kind, message.id, exc, extra=about)
        outcome = "again"
        raise
    finally:
        count_message(message.kind.value, outcome, time.monotonic() - began)


def own(message: Message | None, raw: str) -> Message:
    """The message, if this version can handle it; ForeignMessageError otherwise."""
    if message is not None and message.schema_version <= MESSAGE_SCHEMA_VERSION:
        return message
    log.error("a message of another version is left to another worker: %.200r", raw)
    count_message("unknown", "foreign")
    what = "cannot be read" if message is None else f"has schema {message.schema_version}"
    raise ForeignMessageError(
        f"a message {what}; this scanguard reads {MESSAGE_SCHEMA_VERSION}: a newer worker must handle it"
    )
