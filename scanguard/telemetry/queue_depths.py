"""How full the queues are, looked at now and then, for gauges that may not wait."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol

from scanguard.errors import ScanguardError
from scanguard.ports import Clock, Lane, QueueDepth
from scanguard.telemetry.instruments import QUEUE_AGE, QUEUE_DEPTH
from scanguard.telemetry.metrics import recorder

INTERVAL_S: Final = 15.0
_STALE_AFTER: Final = 4
log = logging.getLogger("scanguard.telemetry")


class QueueDepths(Protocol):
    """As much of :class:`scanguard.ports.Queue` as is needed here."""

    async def depths(self) -> Mapping[Lane, QueueDepth]:
        """How full every lane is."""


class _Look:
    """What was seen last; OpenTelemetry asks from a thread of its own, in which nothing can be awaited."""

    def __init__(self, queue: QueueDepths, clock: Clock, interval_s: float) -> None:
        self._queue = queue
        self._clock = clock
        self._interval_s = interval_s
        self._seen: Mapping[Lane, QueueDepth] = {}
        self._seen_at = 0.0

    async def again(self) -> None:
        try:
            self._seen = await self._queue.depths()
        except ScanguardError as exc:
            log.debug("the queue does not say how full it is: %s", exc)
            return
        self._seen_at = time.monotonic()

    async def for_ever(self) -> None:
        while True:
            await self.again()
            await asyncio.sleep(self._interval_s)

    def _fresh(self) -> Mapping[Lane, QueueDepth]:
        """Nothing rather than a number from long ago."""
        is_fresh = time.monotonic() - self._seen_at <= self._interval_s * _STALE_AFTER
        return self._seen if is_fresh else {}

    def depths(self) -> Iterator[tuple[float, str]]:
        for lane, depth in self._fresh().items():
            yield depth.messages, lane.value

    def ages(self) -> Iterator[tuple[float, str]]:
        """Zero for an empty lane; none for one that cannot tell, or holds messages for later only."""
        for lane, depth in self._fresh().items():
            if depth.ready_since is not None:
                yield max((self._clock.now() - depth.ready_since).total_seconds(), 0.0), lane.value
            elif depth.messages == 0:
                yield 0.0, lane.value


@asynccontextmanager
async def watching_queue(queue: QueueDepths, clock: Clock, *, interval_s: float = INTERVAL_S) -> AsyncIterator[None]:
    """Keep the gauges of the queue true meanwhile; does nothing while nobody receives metrics."""
    to = recorder()
    if to is None:
        yield
        return
    look = _Look(queue, clock, interval_s)
    to.gauges.update({QUEUE_DEPTH: look.depths, QUEUE_AGE: look.ages})
    watching = asyncio.create_task(look.for_ever())
    try:
        yield
        await look.again()  # what a last export shows
    finally:
        watching.cancel()
        await asyncio.wait({watching})
