"""One step at a time, for a host that owns the queues: Azure Functions, instead of our own worker."""

from __future__ import annotations

import logging
from typing import Final

from pydantic import ValidationError

from scanguard.engine.driver import ForeignMessageError, advance, own, take_up
from scanguard.engine.engine import Engine
from scanguard.engine.messages import sweep_message
from scanguard.errors import BackendError, EventError
from scanguard.ports import Arrival, HostedQueue, Message, Outgoing

log = logging.getLogger("scanguard.triggers")
MAX_TEXT: Final = 256 * 1024
"""Longest message text that is looked at; a queue of Azure Storage holds 64 KiB."""


class Triggers:
    """What a trigger calls. An error that leaves a method must reach the host, which gives the message again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._context = engine.context
        self._queue = engine.context.backend.queue

    async def message(self, text: str, *, deliveries: int = 1) -> None:
        """Handle a message; the host removes it from its queue once this returns.

        What follows at once is done too, for the host bills every message. One that comes again does its own work
        only, so that whatever ended the process is found with the message it belongs to.

        Args:
            text: The message.
            deliveries: How often the host gave it, this time included.

        Errors:
            BackendError: it has to come again. ForeignMessageError (one of them): a newer version's, or unreadable.
        """
        arrival = await self._arrived(text)
        if arrival.is_void:
            log.info("a message that came twice was handled before: %.200r", text)
            return
        if arrival.not_before is not None:
            await self._queue.send([Outgoing(own(arrival.message, text), arrival.not_before)])
        else:
            await take_up(self._engine, arrival.message, text, deliveries=deliveries)
        await self._handled(text)

    async def poison(self, text: str) -> bool:
        """Take up a message that the host gave up; False when nobody here can read it, and it has to be kept.

        Work with attempts left in the state goes on after a pause, uncounted while the state itself is away; other
        work becomes a dead letter.

        Errors:
            BackendError: neither state nor queue can be had.
        """
        arrival = await self._arrived(text)
        if arrival.is_void:
            return True
        try:
            message = own(arrival.message, text)
            following = await self._following(message)
        except (ForeignMessageError, EventError) as exc:
            log.error("kept for people: %s", exc)
            return False
        await self._queue.send(following)
        await self._handled(text)
        return True

    async def tick(self) -> None:
        """Look what is overdue, and start the periodic jobs that are due; should this fail, the next tick does it."""
        await advance(self._engine, sweep_message())

    async def _following(self, message: Message) -> list[Outgoing]:
        try:
            return await self._engine.lost(message)
        except BackendError as exc:
            log.warning("kind=%s id=%s comes again, uncounted: %s", message.kind, message.id, exc)
            limits = self._context.limits
            return [Outgoing(message, limits.retry_at(self._context.now(), limits.attempts))]

    async def _arrived(self, text: str) -> Arrival:
        if len(text) > MAX_TEXT:
            return Arrival(None)
        if isinstance(self._queue, HostedQueue):
            return await self._queue.arrived(text)
        try:
            return Arrival(Message.model_validate_json(text))
        except ValidationError:
            return Arrival(None)

    async def _handled(self, text: str) -> None:
        if isinstance(self._queue, HostedQueue):
            await self._queue.handled(text)
