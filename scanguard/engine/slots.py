"""Rolling windows: when the next request may go out. Pure; one book of slots belongs to one scanner instance.

For each rate, time is cut into buckets, a thirtieth of its window long. A request is entered in the bucket it may
go out in, now or later, so that any window holds no more than allowed, wherever it starts. That is a plan: whoever has
a slot may come late, and goes out when what really went out leaves room. So no slot is lost when everybody is late.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from scanguard.model.rate import Rate

PARTS: Final = 30
SLACK: Final = 2
"""Buckets more than a window's length that must hold no more than allowed: a window touches one more than it is
long, and a request goes out a moment after it was let go."""
_SPAN: Final = PARTS + SLACK
MAX_BUCKETS: Final = 1_000
"""Most buckets of one rate that are remembered, so that a book stays some kilobytes."""
HORIZON_S: Final = 3600.0
"""Requests are entered at most so far ahead; whoever is further back asks again then."""

_SENT: Final = "sent "

Taken = Mapping[str, Mapping[int, int]]
"""Requests by rate and bucket, and those of them that went out; what a book remembers."""


@dataclass(frozen=True, slots=True)
class Grant:
    """When requests may go out, in seconds since 1970; if not ``booked``, ask again then."""

    at: float
    booked: bool


class SlotBook:
    """Which requests went out, or will. A rate that the book does not know yet starts with nothing taken.

    Args:
        rates: What holds for all requests together.
        taken: What an earlier book remembers; where it did not note what went out, all of it did.
        errand: A kind of request that has limits of its own.
        own: Those limits; only requests that this book enters count in them.
    """

    def __init__(self, rates: Sequence[Rate], taken: Taken, errand: str = "", own: Sequence[Rate] = ()) -> None:
        known = {str(rate): (rate, False) for rate in rates} | {f"{errand} {rate}": (rate, True) for rate in own}
        self._books = {
            name: _RateBook(rate, dict(planned), dict(taken.get(_SENT + name, planned)), is_own)
            for name, (rate, is_own) in known.items()
            for planned in [taken.get(name, {})]
        }
        self._others = {name: buckets for name, buckets in taken.items() if name.removeprefix(_SENT) not in known}

    @property
    def taken(self) -> Taken:
        """What to remember."""
        planned = {name: book.taken for name, book in self._books.items()}
        sent = {_SENT + name: book.sent for name, book in self._books.items()}
        return {**self._others, **planned, **sent}

    def take(self, now: float, count: int, share: float, *, not_before: float, ahead_s: float) -> Grant:
        """Enter requests at the earliest moment that has room.

        Args:
            now: Seconds since 1970.
            count: Requests that go out together; more than a limit allows at once counts as that many.
            share: The part of each common limit that may be used up, by whoever must leave room for others.
            not_before: Earliest moment.
            ahead_s: How far ahead of now a slot may be, at most :data:`HORIZON_S`.
        """
        books = self._books.values()
        for book in books:
            book.forget(now)
        at = max(now, not_before)
        while (later := max((book.free_from(at, count, share) for book in books), default=at)) > at:
            at = later
        horizon = now + min(ahead_s, HORIZON_S)
        if at > horizon or not all(book.has_room(at) for book in books):
            return Grant(max(horizon, not_before), booked=False)
        self.enter(at, count)
        if at == now:
            self._send(now, count)
        return Grant(at, booked=True)

    def use(self, slot: float, count: int, now: float) -> float:
        """When requests that were entered at a moment that is past may go out: ``now``, or when to ask again."""
        books = self._books.values()
        for book in books:
            book.forget(now)
        free = max((book.free_behind(now, count) for book in books), default=now)
        if free <= now:
            for book in books:
                book.move(slot, now, count)
            self._send(now, count)
        return free

    def _send(self, now: float, count: int) -> None:
        for book in self._books.values():
            book.send(now, count)

    def enter(self, at: float, count: int) -> None:
        """Enter requests that go out at a moment, or, with a negative count, that did not."""
        for book in self._books.values():
            book.enter(at, count)


class _RateBook:
    def __init__(self, rate: Rate, taken: dict[int, int], sent: dict[int, int], is_own: bool) -> None:
        self.rate = rate
        self.taken = taken
        self.sent = sent
        self._is_own = is_own
        self.bucket_s = rate.window_s / PARTS

    def enter(self, at: float, count: int) -> None:
        bucket = self._bucket(at)
        left = self.taken.get(bucket, 0) + count
        if left > 0:
            self.taken[bucket] = left
        else:
            self.taken.pop(bucket, None)

    def has_room(self, at: float) -> bool:
        return self._bucket(at) in self.taken or len(self.taken) < MAX_BUCKETS

    def free_from(self, at: float, count: int, share: float) -> float:
        """``at``, or the start of a later bucket before which no request fits."""
        allowed = max(1, math.floor(self.rate.requests * (1.0 if self._is_own else share)))
        room = allowed - min(count, allowed)
        buckets = sorted(self.taken)
        sums = [0, *accumulate(self.taken[one] for one in buckets)]
        bucket = first = self._bucket(at)
        while (later := _past_full_windows(bucket, room, buckets, sums)) > bucket:
            bucket = later
        return at if bucket == first else bucket * self.bucket_s

    def free_behind(self, now: float, count: int) -> float:
        """``now``, or when enough of what went out before is out of any window that ends then."""
        last = self._bucket(now)
        room = self.rate.requests - min(count, self.rate.requests)
        before = {bucket: number for bucket, number in self.sent.items() if last - _SPAN < bucket <= last}
        inside, at = sum(before.values()), now
        for bucket in sorted(before):
            if inside <= room:
                break
            inside -= before[bucket]
            at = (bucket + _SPAN) * self.bucket_s
        return at

    def move(self, slot: float, now: float, count: int) -> None:
        """From the bucket that was booked to that of now; what went out of the booked one stays there."""
        unsent = self.taken.get(self._bucket(slot), 0) - self.sent.get(self._bucket(slot), 0)
        self.enter(slot, -min(count, max(0, unsent)))
        self.enter(now, count)

    def send(self, now: float, count: int) -> None:
        """Requests go out."""
        bucket = self._bucket(now)
        self.sent[bucket] = self.sent.get(bucket, 0) + count

    def forget(self, now: float) -> None:
        """Drop what no window reaches any more, and what a clock that jumped left in the far future."""
        oldest = self._bucket(now) - PARTS - SLACK
        newest = self._bucket(now + HORIZON_S) + 1
        self.taken = {bucket: count for bucket, count in self.taken.items() if oldest <= bucket <= newest}
        self.sent = {bucket: count for bucket, count in self.sent.items() if oldest <= bucket <= newest}

    def _bucket(self, at: float) -> int:
        return math.floor(at / self.bucket_s + 1e-6)  # a bucket's own start, computed, must not fall before it


def _past_full_windows(bucket: int, room: int, buckets: list[int], sums: list[int]) -> int:
    """``bucket``, or the first one behind the last window around it that has too little room."""
    starts = buckets[bisect_right(buckets, bucket - _SPAN) : bisect_right(buckets, bucket)]
    for start in (bucket, *reversed(starts)):
        inside = sums[bisect_left(buckets, start + _SPAN)] - sums[bisect_left(buckets, start)]
        if inside > room:
            return start + _SPAN
    return bucket
