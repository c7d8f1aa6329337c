"""Drives an engine from its queue: receive, handle, do or send what follows, and only then acknowledge."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from scanguard.engine.driver import ForeignMessageError, take_up
from scanguard.engine.engine import Engine
from scanguard.engine.messages import sweep_message
from scanguard.errors import BackendError, ScanguardError
from scanguard.ports import ALL_LANES, Delivery, Lane, Message

LONGEST_PAUSE_S: Final = 5.0
"""Between looks at a queue that does not answer."""
log = logging.getLogger("scanguard.worker")


class Worker:
    """One process's share of the work.

    Args:
        engine: What handles the messages.
        lanes: Queues to take from, the most urgent first.
        concurrency: Messages handled at once.
        visibility_s: How long a message is held without a sign of life; renewed at a third of it.
        sweep_s: Seconds between looks at what is overdue.
        poll_s: Longest pause between looks at an idle queue; other processes may add to it.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        lanes: Sequence[Lane] = ALL_LANES,
        concurrency: int = 8,
        visibility_s: float = 60.0,
        sweep_s: float = 5.0,
        poll_s: float = 0.25,
    ) -> None:
        self._engine = engine
        self._queue = engine.context.backend.queue
        self._lanes = lanes
        self._concurrency = concurrency
        self._visibility_s = visibility_s
        self._sweep_s = sweep_s
        self._poll_s = poll_s
        self._changed = asyncio.Event()
        self._in_hand: dict[str, tuple[Delivery, float]] = {}
        self._has_more = False
        self._failures = 0
        self._asked_at = 0.0

    async def run(self, is_finished: Callable[[], Awaitable[bool]]) -> None:
        """Work until ``is_finished`` says so (asked whenever something was handled, and when idle).

        What is under way then is let finish; cancelling stops at once, and what was under way comes again.
        """
        running: set[asyncio.Task[None]] = set()

        def ended(task: asyncio.Task[None]) -> None:
            running.discard(task)
            self._changed.set()  # not before: whoever is woken counts those who run

        beside = (asyncio.create_task(self._sweep_for_ever()), asyncio.create_task(self._hold_for_ever()))
        try:
            while not await is_finished():
                self._changed.clear()
                free = self._concurrency - len(running)
                taken = await self._receive(free) if self._may_ask(free) else []
                for delivery in taken:
                    self._in_hand[delivery.receipt] = (delivery, time.monotonic())
                    task = asyncio.create_task(self._process(delivery))
                    running.add(task)
                    task.add_done_callback(ended)
                if not taken:
                    await self._pause()
            await asyncio.gather(*running)
        finally:
            for task in (*beside, *running):
                task.cancel()
            await asyncio.gather(*beside, *running, return_exceptions=True)

    def _may_ask(self, free: int) -> bool:
        """A queue that has more than was asked for is asked for several at once, one that fails now and then.

        Each request has its price, and each failure a line in the log.
        """
        waited_s = time.monotonic() - self._asked_at
        if self._failures:
            return free > 0 and waited_s >= min(LONGEST_PAUSE_S, self._poll_s * 2.0 ** min(self._failures - 1, 30))
        if self._has_more and 2 * free < self._concurrency:
            return free > 0 and waited_s >= self._poll_s
        return free > 0

    async def _receive(self, limit: int) -> Sequence[Delivery]:
        taken: Sequence[Delivery] = []
        try:
            taken = await self._queue.receive(self._lanes, limit=limit, visibility_s=self._visibility_s)
            self._failures = 0
        except BackendError as exc:
            self._failures += 1
            log.warning("queue not available, trying again: %s", exc)
        self._asked_at, self._has_more = time.monotonic(), len(taken) == limit
        return taken

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_s):  # wait_for of Python 3.11 can lose a cancellation
                await self._changed.wait()

    async def _process(self, delivery: Delivery) -> None:
        try:
            await take_up(self._engine, delivery.message, delivery.raw, deliveries=delivery.delivered)
            await self._queue.ack(delivery)
        except ForeignMessageError:
            await self._give_back(delivery, 1)
        except ScanguardError as exc:
            log.debug("given back: %s", exc)
            await self._give_back(delivery, delivery.delivered)
        finally:
            self._in_hand.pop(delivery.receipt, None)

    async def _give_back(self, delivery: Delivery, failures: int) -> None:
        context = self._engine.context
        try:
            await self._queue.release(delivery, context.limits.retry_at(context.now(), failures))
        except BackendError as exc:
            log.warning("could not give a message back, its visibility will end: %s", exc)

    async def _hold_for_ever(self) -> None:
        """Renew the visibility of whatever is worked on; one task for all, for most messages take no time."""
        while True:
            await asyncio.sleep(self._visibility_s / 6)
            now = time.monotonic()
            for delivery, since in list(self._in_hand.values()):
                if now - since < self._visibility_s / 4:
                    continue
                try:
                    await self._queue.extend(delivery, self._visibility_s)
                except BackendError as exc:
                    log.warning("could not hold a message any longer, it may come twice: %s", exc)
                if delivery.receipt in self._in_hand:
                    self._in_hand[delivery.receipt] = (delivery, now)

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await self.sweep()
            except BackendError as exc:
                log.warning("sweep failed, trying again: %s", exc)
            await asyncio.sleep(self._sweep_s)

    async def sweep(self, message: Message | None = None) -> None:
        """Look once at what is overdue."""
        await self._queue.send(await self._engine.handle(message or sweep_message()))
        self._changed.set()


async def has_work(engine: Engine, within: timedelta = timedelta()) -> bool:
    """Whether a message is visible now, or will be ``within`` some time."""
    earliest = await engine.context.backend.queue.next_visible(ALL_LANES)
    return earliest is not None and earliest <= engine.context.now() + within
