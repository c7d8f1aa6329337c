"""One message's way through the engine, whoever drives it: a worker's own queue, or the trigger of a host."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final

from scanguard.engine.engine import Engine
from scanguard.engine.messages import correlation_of
from scanguard.errors import BackendError, ScanguardError
from scanguard.ports import MESSAGE_SCHEMA_VERSION, Message, MessageKind, Outgoing
from scanguard.telemetry.metrics import count_message

log = logging.getLogger("scanguard.worker")
MOST_AT_ONCE: Final = 8
"""More that follows from a step is for many to do, each with a message of its own."""
MOST_STEPS: Final = 40
LONGEST_S: Final = 20.0
"""Seconds after which nothing more is begun in one go."""


class ForeignMessageError(BackendError):
    """A message of a newer scanguard, or none of ours: it is given back untouched, for whoever can read it."""


async def take_up(engine: Engine, message: Message | None, raw: str, *, deliveries: int) -> None:
    """Do what a message asks for, as far as it goes; one that was given before alone.

    Thus what ends every process it is given to is found with the message it belongs to.

    Args:
        engine: Does the work, and has the queue.
        message: None when the text could not be read.
        raw: The text that arrived, for the log.
        deliveries: How often it was given, this time included.

    Errors: as :func:`advance`.
    """
    if deliveries <= 1:
        await advance_far(engine, message, raw)
    else:
        await advance(engine, message, raw, again=True)


async def advance(engine: Engine, message: Message | None, raw: str = "", *, again: bool = False) -> None:
    """Do a message's work and send what follows; whoever calls acknowledges once this returns.

    Args:
        engine: Does the work, and has the queue.
        message: None when the text could not be read.
        raw: The text that arrived, for the log.
        again: Whether it was given before.

    Errors:
        ForeignMessageError: it is for another version. BackendError: the state, queue or report store failed. Give the
        message back: it has to come again.
    """
    await engine.context.backend.queue.send(await _step(engine, own(message, raw), again=again))


async def advance_far(engine: Engine, message: Message | None, raw: str = "") -> None:
    """As :func:`advance`, and what can follow at once in the same lane is done too, instead of sent.

    Each message has its price: requests to the queue, or an execution that a host bills. Whoever dies on the way has
    lost nothing: the first message comes again, and a step that finds itself done emits what follows from it again. A
    step that fails becomes a message.
    """
    first = own(message, raw)
    end, steps = time.monotonic() + LONGEST_S, 0
    following = await _step(engine, first)
    while following:
        ready = _ready(engine, first, following)
        steps += len(ready)
        if first.kind is MessageKind.SWEEP or len(ready) > MOST_AT_ONCE or steps > MOST_STEPS or time.monotonic() > end:
            ready = []
        at_once = {id(one) for one in ready}
        await engine.context.backend.queue.send([one for one in following if id(one) not in at_once])
        done = await asyncio.gather(*(_step_or_message(engine, one) for one in ready))
        following = [out for outs in done for out in outs]


def _ready(engine: Engine, first: Message, following: Sequence[Outgoing]) -> list[Outgoing]:
    """What need not wait, and is this lane's."""
    now = engine.context.now()
    return [
        out for out in following if out.message.lane is first.lane and (out.not_before is None or out.not_before <= now)
    ]


async def _step_or_message(engine: Engine, out: Outgoing) -> list[Outgoing]:
    """Do it; what cannot be done now is sent after all, for a moment later."""
    try:
        return await _step(engine, out.message)
    except ScanguardError:
        at = engine.context.limits.retry_at(engine.context.now(), 1)
        await engine.context.backend.queue.send([Outgoing(out.message, at)])
        return []


async def _step(engine: Engine, message: Message, *, again: bool = False) -> list[Outgoing]:
    """One message's work; what follows."""
    began, outcome = time.monotonic(), "stopped"
    try:
        following = await engine.handle(message, again=again)
        outcome = "handled"
        return following
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
