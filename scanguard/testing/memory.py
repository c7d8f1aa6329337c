"""A backend in memory, on a clock the test owns, that can be made to die at any port call.

It keeps the contract of :mod:`scanguard.ports` and nothing more, so a test of the engine on it holds on every
backend. :class:`Crash` is a ``BaseException``: nothing in the engine catches it, as nothing catches ``kill -9``.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from scanguard.errors import ConflictError
from scanguard.model.verdict import Verdict
from scanguard.ports import Backend, Delivery, Lane, Message, Outgoing, QueueDepth, RecordQuery, Row

T = TypeVar("T")


class Crash(BaseException):
    """The process dies here."""


@dataclass
class ManualClock:
    """Time that passes when told to."""

    moment: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        """The present moment."""
        return self.moment

    def advance(self, seconds: float) -> None:
        """Let time pass; a negative number is a clock set back."""
        self.moment += timedelta(seconds=seconds)


@dataclass
class Faults:
    """Dies at the n-th port call from now; ``after`` lets that call take effect first (its answer is lost)."""

    countdown: int | None = None
    after: bool = False
    calls: int = 0

    async def around(self, call: Callable[[], T]) -> T:
        """Make a port call, or die. Others get their turn first, so handlers that run at once interleave."""
        await asyncio.sleep(0)
        self.calls += 1
        dies = self.countdown is not None and self.countdown <= 0
        if self.countdown is not None:
            self.countdown -= 1
        if dies and not self.after:
            self.countdown = None
            raise Crash
        answer = call()
        if dies:
            self.countdown = None
            raise Crash
        return answer


class MemoryState:
    """State rows in a dictionary."""

    def __init__(self, faults: Faults) -> None:
        self.rows: dict[tuple[str, str, str], Row] = {}
        self._faults = faults
        self._etags = itertools.count(1)

    async def get(self, table: str, partition: str, key: str = "") -> Row | None:
        """The row, or None."""
        return await self._faults.around(lambda: self.rows.get((table, partition, key)))

    async def insert(self, row: Row) -> Row:
        """Create, or ConflictError."""

        def work() -> Row:
            address = (row.table, row.partition, row.key)
            if address in self.rows:
                raise ConflictError("the row is already there")
            return self._write(row)

        return await self._faults.around(work)

    async def replace(self, row: Row) -> Row:
        """Write over the version read, or ConflictError."""

        def work() -> Row:
            self._check(row)
            return self._write(row)

        return await self._faults.around(work)

    async def delete(self, row: Row) -> None:
        """Remove the version read, or any when no etag is given."""

        def work() -> None:
            current = self.rows.get((row.table, row.partition, row.key))
            if current is not None and row.etag in ("", current.etag):
                del self.rows[(row.table, row.partition, row.key)]

        await self._faults.around(work)

    async def page(self, table: str, partition: str, *, after: str = "", limit: int = 100) -> Sequence[Row]:
        """Rows of a partition in key order."""

        def work() -> list[Row]:
            found = [row for (t, p, k), row in self.rows.items() if (t, p) == (table, partition) and k > after]
            return sorted(found, key=lambda row: row.key)[:limit]

        return await self._faults.around(work)

    async def overdue(self, before: datetime, *, limit: int = 100) -> Sequence[Row]:
        """Rows due at or before a moment, oldest first."""

        def work() -> list[Row]:
            found = [(row.due, row) for row in self.rows.values() if row.due is not None and row.due <= before]
            return [row for _, row in sorted(found, key=lambda pair: pair[0])[:limit]]

        return await self._faults.around(work)

    def _check(self, row: Row) -> None:
        current = self.rows.get((row.table, row.partition, row.key))
        if current is None or current.etag != row.etag:
            raise ConflictError("the row was changed by somebody else")

    def _write(self, row: Row) -> Row:
        fresh = replace(row, etag=str(next(self._etags)))
        self.rows[(row.table, row.partition, row.key)] = fresh
        return fresh


@dataclass
class _Queued:
    message: Message
    visible_at: datetime
    receipt: str = ""
    delivered: int = 0


class MemoryQueue:
    """Messages in a list; order is kept but never promised."""

    def __init__(self, faults: Faults, clock: ManualClock) -> None:
        self.items: list[_Queued] = []
        self._faults = faults
        self._clock = clock
        self._receipts = itertools.count(1)

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Add messages, each through a port call of its own: a crash may leave some."""
        for out in messages:
            item = _Queued(out.message, out.not_before or self._clock.now())
            await self._faults.around(partial(self.items.append, item))

    async def receive(self, lanes: Sequence[Lane], *, limit: int, visibility_s: float) -> Sequence[Delivery]:
        """Take visible messages."""

        def work() -> list[Delivery]:
            now = self._clock.now()
            of_lanes = (item for lane in lanes for item in self.items if item.message.lane is lane)
            visible = [item for item in of_lanes if item.visible_at <= now]
            return [self._take(item, visibility_s) for item in visible[:limit]]

        return await self._faults.around(work)

    async def extend(self, delivery: Delivery, visibility_s: float) -> Delivery:
        """Hold for longer, or ConflictError."""

        def work() -> Delivery:
            item = self._held(delivery)
            if item is None:
                raise ConflictError("the message was taken by somebody else")
            item.visible_at = self._clock.now() + timedelta(seconds=visibility_s)
            return delivery

        return await self._faults.around(work)

    async def ack(self, delivery: Delivery) -> None:
        """Remove, if still held."""
        await self._faults.around(lambda: self._drop(delivery))

    async def release(self, delivery: Delivery, not_before: datetime | None = None) -> None:
        """Give back, if still held."""

        def work() -> None:
            item = self._held(delivery)
            if item is not None:
                item.visible_at, item.receipt = not_before or self._clock.now(), ""

        await self._faults.around(work)

    async def next_visible(self, lanes: Sequence[Lane]) -> datetime | None:
        """When the earliest message is visible."""
        return min((item.visible_at for item in self.items if item.message.lane in lanes), default=None)

    async def depths(self) -> Mapping[Lane, QueueDepth]:
        """How full every lane is."""

        def of(lane: Lane) -> QueueDepth:
            items = [item.visible_at for item in self.items if item.message.lane is lane]
            ready = [moment for moment in items if moment <= self._clock.now()]
            return QueueDepth(len(items), min(ready, default=None))

        return await self._faults.around(lambda: {lane: of(lane) for lane in Lane})

    def _take(self, item: _Queued, visibility_s: float) -> Delivery:
        item.visible_at = self._clock.now() + timedelta(seconds=visibility_s)
        item.receipt = str(next(self._receipts))
        item.delivered += 1
        return Delivery(item.message, item.receipt, delivered=item.delivered)

    def _held(self, delivery: Delivery) -> _Queued | None:
        return next((item for item in self.items if item.receipt == delivery.receipt), None)

    def _drop(self, delivery: Delivery) -> None:
        item = self._held(delivery)
        if item is not None:
            self.items.remove(item)


class MemoryReports:
    """Documents in a dictionary."""

    def __init__(self, faults: Faults) -> None:
        self.documents: dict[str, bytes] = {}
        self._faults = faults

    async def put(self, name: str, data: bytes) -> None:
        """Store."""
        await self._faults.around(lambda: self.documents.__setitem__(name, data))

    async def get(self, name: str) -> bytes | None:
        """The document, or None."""
        return await self._faults.around(lambda: self.documents.get(name))


class MemoryRecords:
    """Verdicts in a dictionary."""

    def __init__(self, faults: Faults) -> None:
        self.verdicts: dict[str, Verdict] = {}
        self.known: dict[str, frozenset[str]] = {}
        self._faults = faults

    async def save(self, verdict: Verdict) -> None:
        """Store, unless a higher revision is stored."""

        def work() -> None:
            stored = self.verdicts.get(verdict.id)
            if stored is None or stored.revision <= verdict.revision:
                self.verdicts[verdict.id] = verdict

        await self._faults.around(work)

    async def index(self, digest: str, vulnerabilities: Sequence[str]) -> None:
        """Replace what is known of an image."""
        await self._faults.around(
            lambda: self.known.__setitem__(digest, frozenset(name.upper() for name in vulnerabilities))
        )

    async def query(self, query: RecordQuery) -> Sequence[Verdict]:
        """The verdicts that match, newest first."""

        def work() -> list[Verdict]:
            found = [verdict for verdict in self.verdicts.values() if self._matches(verdict, query)]
            return sorted(found, key=lambda v: (v.decided_at, v.id), reverse=True)[: query.limit]

        return await self._faults.around(work)

    async def previous(self, resource_id: str, before_id: str) -> Verdict | None:
        """The deployment's newest verdict of another assessment."""

        def work() -> Verdict | None:
            others = [v for v in self._of(resource_id) if v.id != before_id]
            return max(others, key=_observed, default=None)

        return await self._faults.around(work)

    def _of(self, resource_id: str) -> list[Verdict]:
        return [v for v in self.verdicts.values() if v.deployment.resource_id.lower() == resource_id.lower()]

    def _matches(self, verdict: Verdict, query: RecordQuery) -> bool:
        if query.id is not None and not verdict.id.startswith(query.id):
            return False
        wants_latest = query.latest_only or query.vulnerability is not None
        checks = (
            query.resource is None or verdict.deployment.resource_id.lower() == query.resource.lower(),
            query.since is None or verdict.decided_at >= query.since,
            query.image is None or query.image in _image_names(verdict),
            query.severity is None
            or any(n and s.rank >= query.severity.rank for i in verdict.images for s, n in i.counts.items()),
            query.vulnerability is None or self._has(verdict, query.vulnerability.upper()),
            not wants_latest or max(self._of(verdict.deployment.resource_id), key=_observed).id == verdict.id,
        )
        return all(checks)

    def _has(self, verdict: Verdict, name: str) -> bool:
        return any(name in self.known.get(i.image.digest, ()) for i in verdict.images if i.image)


def _observed(verdict: Verdict) -> tuple[datetime, str]:
    return verdict.deployment.seen_at, verdict.id


def _image_names(verdict: Verdict) -> set[str]:
    names = {image.name for image in verdict.images}
    for image in verdict.images:
        if image.image is not None:
            reference = image.image.reference
            names |= {image.image.repository, image.image.digest, str(reference) if reference else image.image.source}
    return names


@dataclass
class MemoryBackend:
    """The five ports in memory; ``backend()`` is what an engine takes."""

    clock: ManualClock = field(default_factory=ManualClock)
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        self.state = MemoryState(self.faults)
        self.queue = MemoryQueue(self.faults, self.clock)
        self.reports = MemoryReports(self.faults)
        self.records = MemoryRecords(self.faults)

    def backend(self) -> Backend:
        """The ports."""
        return Backend(self.state, self.queue, self.reports, self.records, self.clock)
