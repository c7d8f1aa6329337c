"""What the engine needs of the world: state, queue, reports, records, clock.

A backend implements these five; the engine is written against them and does not know where it runs.
Every method may be called twice with the same effect, may raise :class:`~scanguard.errors.BackendError`, and
is durable when it returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from pydantic import JsonValue

from scanguard.model.base import Traced

if TYPE_CHECKING:  # a message is made without loading what a verdict is
    from scanguard.model.severity import Severity
    from scanguard.model.verdict import Verdict

MESSAGE_SCHEMA_VERSION = 1
"""Version of queue messages; a worker that meets a higher one leaves the message for a newer worker."""


class Clock(Protocol):
    """Time, so that tests can own it."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of state, addressed by table, partition and row key.

    ``due`` is when somebody must look at it again; None when it is terminal. ``etag`` changes with every write.
    """

    table: str
    partition: str
    key: str
    body: Mapping[str, JsonValue]
    due: datetime | None = None
    etag: str = ""

    def with_(self, body: Mapping[str, JsonValue], due: datetime | None) -> Row:
        """The same row and etag with another body and due time, ready for :meth:`StateStore.replace`."""
        return Row(self.table, self.partition, self.key, body, due, self.etag)


class StateStore(Protocol):
    """Rows with compare-and-swap."""

    async def get(self, table: str, partition: str, key: str = "") -> Row | None:
        """The row, or None."""

    async def insert(self, row: Row) -> Row:
        """Create; :class:`~scanguard.errors.ConflictError` when the row is already there."""

    async def replace(self, row: Row) -> Row:
        """Write over the version named by ``row.etag``; ConflictError when it changed or is gone."""

    async def delete(self, row: Row) -> None:
        """Remove; a row that is gone, or changed since, is left alone without an error.

        A row given without an etag is removed whatever its version.
        """

    async def page(self, table: str, partition: str, *, after: str = "", limit: int = 100) -> Sequence[Row]:
        """Rows of a partition in key order, those with a key greater than ``after``."""

    async def overdue(self, before: datetime, *, limit: int = 100) -> Sequence[Row]:
        """Rows of any table with ``due`` at or before a moment, oldest first."""


class MessageKind(StrEnum):
    """The four kinds of work; ``intake`` is an ``assess`` that still carries its event."""

    INTAKE = "intake"
    ASSESS = "assess"
    SCAN = "scan"
    DELIVER = "deliver"
    SWEEP = "sweep"


class Lane(StrEnum):
    """Queues by urgency: fresh deployments, bulk rescans, work that needs disk and CPU."""

    FRESH = "fresh"
    BULK = "bulk"
    HEAVY = "heavy"


ALL_LANES = (Lane.FRESH, Lane.HEAVY, Lane.BULK)
"""Every lane, the most urgent first."""


class Message(Traced):
    """A wake-up. Carries ids only, except ``intake`` (its trimmed event) and ``sweep`` (its cursor).

    ``traceparent`` is the trace its work belongs to, if there is one.
    """

    schema_version: int = MESSAGE_SCHEMA_VERSION
    kind: MessageKind
    id: str
    lane: Lane = Lane.FRESH
    body: Mapping[str, Any] = {}
    """JSON, which is not looked through again for each message."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send, invisible until ``not_before``."""

    message: Message
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A received message, hidden from others until its visibility ends; ``receipt`` proves who holds it.

    ``message`` is None when the text cannot be read: :attr:`raw` then says what arrived.
    """

    message: Message | None
    receipt: str
    raw: str = ""
    delivered: int = 1


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How full a lane is; ``messages`` may be approximate and counts what is hidden or held too.

    ``ready_since`` is when the oldest message that could be taken now became visible; None when there is none, or
    when the queue cannot tell.
    """

    messages: int = 0
    ready_since: datetime | None = None


class Queue(Protocol):
    """At-least-once messages with a time before which they are not seen. They never expire."""

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Make messages durable; all or, after an error, possibly some."""

    async def receive(self, lanes: Sequence[Lane], *, limit: int, visibility_s: float) -> Sequence[Delivery]:
        """Take up to ``limit`` visible messages, lanes in the order given; an empty answer means none now."""

    async def extend(self, delivery: Delivery, visibility_s: float) -> Delivery:
        """Hold a message for longer; ConflictError when it was lost to somebody else."""

    async def ack(self, delivery: Delivery) -> None:
        """Remove a message; one that was lost is left alone without an error."""

    async def release(self, delivery: Delivery, not_before: datetime | None = None) -> None:
        """Give a message back untouched, visible from ``not_before`` on."""

    async def next_visible(self, lanes: Sequence[Lane]) -> datetime | None:
        """When the earliest message of these lanes is, or becomes, visible; None when there is none."""

    async def depths(self) -> Mapping[Lane, QueueDepth]:
        """How full every lane is; for people and metrics, never for decisions."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A text that a host took from one of our queues.

    Attributes:
        message: None when the text cannot be read.
        not_before: Its time has not come: it has to be sent again.
        is_void: A part kept elsewhere is gone, because the same message was handled before.
    """

    message: Message | None
    not_before: datetime | None = None
    is_void: bool = False


@runtime_checkable
class HostedQueue(Protocol):
    """What a queue offers besides, when a host such as Azure Functions receives and acknowledges for us.

    Optional: without it, a text is a message's JSON.
    """

    async def arrived(self, text: str) -> Arrival:
        """Read what the host took; raises BackendError when a part kept elsewhere cannot be had now."""

    async def handled(self, text: str) -> None:
        """The host is about to acknowledge: what else belongs to the message may go."""


class ReportStore(Protocol):
    """Big documents by name: scan reports, merged reports."""

    async def put(self, name: str, data: bytes) -> None:
        """Store, whole or not at all; the same name again replaces."""

    async def get(self, name: str) -> bytes | None:
        """The document, or None."""


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Which verdicts to list; everything given must hold. Newest first, ``limit`` at most."""

    image: str | None = None
    """Repository, reference or digest; a repository matches every tag and digest of it."""
    resource: str | None = None
    since: datetime | None = None
    severity: Severity | None = None
    """At least one finding of this severity or above."""
    vulnerability: str | None = None
    """An id or alias; lists only deployments whose *latest* verdict rests on an image that has it."""
    id: str | None = None
    limit: int = 50
    latest_only: bool = False
    """Only each deployment's newest verdict."""


class Records(Protocol):
    """Verdicts, for people who ask later. The engine's store is the record; sinks hold copies."""

    async def save(self, verdict: Verdict) -> None:
        """Store a verdict. The same assessment again replaces; a lower revision than stored changes nothing."""

    async def index(self, digest: str, vulnerabilities: Sequence[str]) -> None:
        """Remember every finding id and alias of an image; the same digest again replaces the set."""

    async def query(self, query: RecordQuery) -> Sequence[Verdict]:
        """The verdicts that match."""

    async def previous(self, resource_id: str, before_id: str) -> Verdict | None:
        """The deployment's newest verdict of another assessment than ``before_id``; ids in any case."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The five ports of one place to run."""

    state: StateStore
    queue: Queue
    reports: ReportStore
    records: Records
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that something was delivered: where, under which id the other side knows it, and when."""

    destination: str
    reference: str
    delivered_at: datetime


OutboxKind = Literal["sink", "notifier", "action"]
