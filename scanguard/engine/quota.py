"""Quotas of instances, kept by all workers together: every request has a slot, now or later.

Whoever has to wait is told when its turn is, and waits as a message that nobody sees until then. What was begun goes
before what was not: submits book a minute ahead only, and no more of them go out than can be finished; polls come
evenly, so that asking "is it done?" never eats up what the results need, and leave a fifth to others. Bulk work leaves
a fifth to fresh work and stands behind whatever fresh work is waiting for.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
    """Requests by rate and bucket, and what of them went out: versions that do not know it carry it along."""
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
    """Whether a request may go out now; if not, ask again ``at``, with the ``slot`` that is booked, if one is.

    A slot holds until it is used or given back, however late whoever has it comes.
    """

    is_now: bool
    at: datetime
    slot: datetime | None = None


_Step = Callable[["Quota"], tuple["Quota", Turn]]


@dataclass(slots=True)
class _Line:
    """Those of one process who want something of one row; whoever is first swaps it for all who wait by then."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[tuple[_Step, asyncio.Future[Turn]]] = field(default_factory=list)


class Quotas:
    """Slots for requests, by what they are counted under."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lines: dict[str, _Line] = defaultdict(_Line)

    async def take(
        self, limited: Limited, count: int, *, bulk: bool, errand: Errand, held: datetime | None = None
    ) -> Turn:
        """Use the slot that was ``held`` for ``count`` requests, or book the next free one.

        Where no rate limits the instance it is now, unless the service asked everybody to stay away.
        """
        if not limited.rates:
            return await self._unless_closed(limited.name)

        def step(quota: Quota) -> tuple[Quota, Turn]:
            now = self._clock.now()
            if held is not None and held - now < timedelta(seconds=HORIZON_S):  # else the clock went back
                return _used(quota, limited, now, count, errand=errand, held=held)
            return _taken(quota, limited, now, count, bulk=bulk, errand=errand)

        return await self._in_line(limited.name, step)

    async def _unless_closed(self, name: str) -> Turn:
        stored, now = await self._store.get(Quota, name), self._clock.now()
        closed = stored.document.closed_until if stored else None
        return Turn(is_now=True, at=now) if closed is None or closed <= now else Turn(is_now=False, at=closed)

    async def give_back(self, limited: Limited, slot: datetime | None, count: int, errand: Errand) -> None:
        """A slot that will not be used."""
        if slot is None or not limited.rates:
            return
        now = self._clock.now()

        def step(quota: Quota) -> tuple[Quota, Turn]:
            book = _book(quota, limited, errand)
            book.enter(slot.timestamp(), -count)
            return _noted(quota, book), Turn(is_now=False, at=now)

        await self._in_line(limited.name, step)

    async def _in_line(self, name: str, step: _Step) -> Turn:
        """Have a step done in the order of asking; all that wait for the row are one swap."""
        line = self._lines[name]
        done: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        line.waiting.append((step, done))
        try:
            async with line.lock:
                if not done.done():
                    await self._swap(name, line)
            return done.result()
        finally:
            done.cancel()
            line.waiting = [one for one in line.waiting if one[1] is not done]

    async def _swap(self, name: str, line: _Line) -> None:
        """Do the steps of all that wait; an error is everybody's."""
        batch, turns = list(line.waiting), list[Turn]()

        def change(quota: Quota) -> tuple[Quota, None] | None:
            turns.clear()
            changed = quota
            for step, _ in batch:
                changed, turn = step(changed)
                turns.append(turn)
            return None if changed is quota else (changed, None)

        try:
            stored = await self._store.get(Quota, name) or await self._store.ensure(Quota(instance=name), None)
            if await self._store.update(Quota, name, "", change, known=stored) is None:
                raise BackendError(f"the quota of {name} cannot be read", target=name)
        except BackendError as exc:
            for _, done in batch:
                if not done.done():
                    done.set_exception(exc)
            return
        for (_, done), turn in zip(batch, turns, strict=True):
            if not done.done():
                done.set_result(turn)

    async def close(self, instance: str, until: datetime) -> None:
        """The service asked everybody to stay away until then."""
        await self._store.ensure(Quota(instance=instance), None)

        def change(quota: Quota) -> tuple[Quota, None] | None:
            if quota.closed_until is not None and quota.closed_until >= until:
                return None
            return quota.model_copy(update={"closed_until": until}), None

        await self._store.update(Quota, instance, "", change)


def _used(
    quota: Quota, limited: Limited, now: datetime, count: int, *, errand: Errand, held: datetime
) -> tuple[Quota, Turn]:
    """Whether the slot may be used: its time has come, however long ago, and there is room for what goes out."""
    at = max(held, quota.closed_until or held)
    if at > now:
        return quota, Turn(is_now=False, at=at, slot=held)
    book = _book(quota, limited, errand)
    free = book.use(held.timestamp(), count, now.timestamp())
    if free > now.timestamp():
        return quota, Turn(is_now=False, at=datetime.fromtimestamp(free, UTC), slot=held)
    return _noted(quota, book), Turn(is_now=True, at=now)


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
    update: dict[str, object] = {}
    if not grant.booked:
        tail = "bulk_tail" if bulk else "fresh_tail"
        at = max(at, getattr(quota, tail) or at)
        update[tail] = at + count * max(timedelta(seconds=rate.window_s / rate.requests) for rate in limited.rates)
    elif not bulk and at > now:
        update["fresh_until"] = max(at, quota.fresh_until or at)
    is_now = grant.booked and at <= now
    turn = Turn(is_now=is_now, at=at, slot=at if grant.booked and not is_now else None)
    return _noted(quota, book).model_copy(update=update), turn


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


def _noted(quota: Quota, book: SlotBook) -> Quota:
    taken = {rate: {str(bucket): count for bucket, count in slots.items()} for rate, slots in book.taken.items()}
    return quota.model_copy(update={"taken": taken})
