"""One step at a time, for a host that owns the queues: Azure Functions, instead of our own worker."""

from __future__ import annotations

import logging
from typing import Final

from pydantic import ValidationError

from scanguard.engine.driver import advance, own
from scanguard.engine.engine import Engine
from scanguard.engine.messages import sweep_message
from scanguard.errors import BackendError, EventError
from scanguard.ports import Message, Outgoing

log = logging.getLogger("scanguard.triggers")
MAX_TEXT: Final = 256 * 1024
"""Longest message text that is looked at; a queue of Azure Storage holds 64 KiB."""


class Triggers:
    """What a trigger calls. An error that leaves a method must reach the host, which gives the message again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def message(self, text: str) -> None:
        """Handle a message; the host removes it from its queue once this returns.

        Errors:
            BackendError: it has to come again. ForeignMessageError (one of them): a newer version's, or unreadable.
        """
        await advance(self._engine, read_message(text), text)

    async def poison(self, text: str) -> bool:
        """Take up a message that the host gave up; False when nobody here can read it, and it has to be kept.

        Work with attempts left in the state goes on after a pause, uncounted while the state itself is away; other
        work becomes a dead letter.

        Errors:
            BackendError: neither state nor queue can be had.
        """
        try:
            message = own(read_message(text), text)
        except BackendError:
            return False
        context = self._engine.context
        try:
            following = await self._engine.lost(message)
        except EventError as exc:
            log.error("kept for people: %s", exc)
            return False
        except BackendError as exc:
            log.warning("kind=%s id=%s comes again, uncounted: %s", message.kind, message.id, exc)
            following = [Outgoing(message, context.limits.retry_at(context.now(), context.limits.attempts))]
        await context.backend.queue.send(following)
        return True

    async def tick(self) -> None:
        """Start the periodic jobs that are due."""
        await self._engine.context.backend.queue.send([Outgoing(sweep_message())])


def read_message(text: str) -> Message | None:
    """The message that a queue's text holds, or None."""
    if len(text) > MAX_TEXT:
        return None
    try:
        return Message.model_validate_json(text)
    except ValidationError:
        return None
