"""Quotas of instances, kept by all workers together: every request has a slot, now or later.

Whoever has to wait is told when its turn is, and waits as a message that nobody sees until then. What was begun goes
before what was not: submits book a minute ahead only, and no more of them go out than can be finished; polls come
evenly, so that asking "is it done?" never eats up what the results need, and leave a fifth to others. Bulk work leaves
a fifth to fresh work and stands behind whatever fresh work is waiting for.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import ClassVar, Final

from scanguard.engine.documents import Document
from scanguard.engine.plan import Limited
from scanguard.engine.slots import HORIZON_S, SlotBook
from scanguard.engine.store import Store
from scanguard.errors import BackendError
from scanguard.model.base import Instant
from scanguard.model.rate import Rate
from scanguard.ports import Clock

POLL_SHARE: Final = 0.8
BULK_SHARE: Final = 0.8
BULK_AHEAD_S: Final = 30.0
"""Bulk work books no slot further ahead: what comes later may be fresh."""
SUBMIT_AHEAD_S: Final = 60.0
"""Submits book no slot further ahead: what comes later may finish a scan that has begun."""


_MINUTE_S: Final = 60.0
_DAY_S: Final = 86_400.0


class Errand(Enum):
    """What requests are for."""

    SUBMIT = auto()
    POLL = auto()
    RESULT = auto()
    CALL = auto()
    """Neither begins a scan nor belongs to one."""


class Quota(Document):
    """What one instance was asked, and when it wants to be left alone."""

    TABLE: ClassVar[str] = "quota"

    instance: str
    taken: Mapping[str, Mapping[str, int]] = {}
    """Requests by rate and bucket."""
    fresh_until: Instant | None = None
    """The last slot that fresh work has booked."""
    fresh_tail: Instant | None = None
    bulk_tail: Instant | None = None
    """When the next of those may ask again who found no slot within reach; each stands behind the one before."""
    closed_until: Instant | None = None

    @property
    def address(self) -> tuple[str, str]:
        """Partition and key of the row."""
        return self.instance, ""


@dataclass(frozen=True, slots=True)
class Turn:
    """When a request may go out; if not ``booked``, ask again then. ``late_s``: how late it may go out."""

    at: datetime
    booked: bool
    late_s: float


class Quotas:
    """Slots for requests, by what they are counted under."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._in_turn: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def take(self, limited: Limited, count: int, *, bulk: bool, errand: Errand) -> Turn:
        """Book the next free slot for ``count`` requests; at once where no rate limits the instance.

        Of one process one at a time: the row is swapped, and its many messages would only overtake each other.
        """
        async with self._in_turn[limited.name]:
            return await self._take(limited, count, bulk=bulk, errand=errand)

    async def _take(self, limited: Limited, count: int, *, bulk: bool, errand: Errand) -> Turn:
        now = self._clock.now()
        stored = await self._store.get(Quota, limited.name)
        if stored is None:
            if not limited.rates:
                return Turn(now, booked=True, late_s=HORIZON_S)
            stored = await self._store.ensure(Quota(instance=limited.name), None)
        elif not limited.rates:
            closed = stored.document.closed_until
            return Turn(max(now, closed or now), booked=closed is None or closed <= now, late_s=HORIZON_S)
        turn: Turn | None = None

        def change(quota: Quota) -> tuple[Quota, None] | None:
            nonlocal turn
            changed, turn = _taken(quota, limited, now, count, bulk=bulk, errand=errand)
            return changed, None

        await self._store.update(Quota, limited.name, "", change, known=stored)
        if turn is None:
            raise BackendError(f"the quota of {limited.name} cannot be read", target=limited.name)
        return turn

    async def give_back(self, limited: Limited, turn: Turn, count: int, errand: Errand) -> None:
        """A slot that will not be used."""

        def change(quota: Quota) -> tuple[Quota, None]:
            book = _book(quota, limited, errand)
            book.enter(turn.at.timestamp(), -count)
            return quota.model_copy(update={"taken": _dumped(book)}), None

        if limited.rates and turn.booked:
            async with self._in_turn[limited.name]:
                await self._store.update(Quota, limited.name, "", change)

    async def close(self, instance: str, until: datetime) -> None:
        """The service asked everybody to stay away until then."""
        await self._store.ensure(Quota(instance=instance), None)

        def change(quota: Quota) -> tuple[Quota, None] | None:
            if quota.closed_until is not None and quota.closed_until >= until:
                return None
            return quota.model_copy(update={"closed_until": until}), None

        await self._store.update(Quota, instance, "", change)

    async def is_closed(self, instance: str) -> bool:
        """Whether the service wants to be left alone now."""
        stored = await self._store.get(Quota, instance)
        closed = stored.document.closed_until if stored else None
        return closed is not None and closed > self._clock.now()


def _taken(
    quota: Quota, limited: Limited, now: datetime, count: int, *, bulk: bool, errand: Errand
) -> tuple[Quota, Turn]:
    book = _book(quota, limited, errand)
    behind = [quota.closed_until, quota.fresh_until if bulk else None]
    grant = book.take(
        now.timestamp(),
        count,
        (POLL_SHARE if errand is Errand.POLL else 1.0) * (BULK_SHARE if bulk else 1.0),
        not_before=max((moment.timestamp() for moment in behind if moment), default=0.0),
        ahead_s=BULK_AHEAD_S if bulk else SUBMIT_AHEAD_S if errand is Errand.SUBMIT else HORIZON_S,
    )
    at = max(now, datetime.fromtimestamp(grant.at, UTC))
    update: dict[str, object] = {"taken": _dumped(book)}
    if not grant.booked:
        tail = "bulk_tail" if bulk else "fresh_tail"
        at = max(at, getattr(quota, tail) or at)
        update[tail] = at + count * max(timedelta(seconds=rate.window_s / rate.requests) for rate in limited.rates)
    elif not bulk and at > now:
        update["fresh_until"] = max(at, quota.fresh_until or at)
    return quota.model_copy(update=update), Turn(at, grant.booked, book.late_s)


def own_limits(limited: Limited, errand: Errand) -> tuple[Rate, ...]:
    """What holds for one kind of request beside the quota itself.

    Submits: as many as can be finished too. Polls: evenly, no more in a minute than the rate comes to.
    """
    if errand is Errand.SUBMIT and limited.requests_per_scan > 1:
        each = limited.requests_per_scan
        return tuple(Rate(requests=max(1, rate.requests // each), window_s=rate.window_s) for rate in limited.rates)
    if errand is Errand.POLL:
        return tuple(_evenly(rate) for rate in limited.rates if rate.window_s > _MINUTE_S)
    return ()


def _evenly(rate: Rate) -> Rate:
    a_minute = rate.requests * POLL_SHARE * _MINUTE_S / rate.window_s
    if a_minute >= 1:
        return Rate(requests=int(a_minute), window_s=_MINUTE_S)
    return Rate(requests=1, window_s=min(_MINUTE_S / a_minute, _DAY_S))


def _book(quota: Quota, limited: Limited, errand: Errand) -> SlotBook:
    taken = {rate: {int(bucket): count for bucket, count in slots.items()} for rate, slots in quota.taken.items()}
    return SlotBook(limited.rates, taken, errand.name.lower(), own_limits(limited, errand))


def _dumped(book: SlotBook) -> dict[str, dict[str, int]]:
    return {rate: {str(bucket): count for bucket, count in slots.items()} for rate, slots in book.taken.items()}
