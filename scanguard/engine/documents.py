"""The engine's state, as documents: assessments, scan tasks, waiters, outbox items."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field, JsonValue

from scanguard.engine.intake import assessment_id as assessment_id  # noqa: PLC0414  # others find ids here
from scanguard.engine.intake import stable_id as stable_id  # noqa: PLC0414  # as above
from scanguard.model.base import SCHEMA_VERSION, Digest, Instant, Model, Traced
from scanguard.model.deployment import Deployment, Event
from scanguard.model.image import Platform, ResolvedImage
from scanguard.model.report import ScannerInfo
from scanguard.ports import Lane, OutboxKind

CANCELLED = "Cancelled"
"""The ``error_kind`` of what somebody stopped on purpose."""


class Document(Model):
    """A row's body; ``TABLE`` says where it lives."""

    TABLE: ClassVar[str]
    schema_version: Literal[1] = SCHEMA_VERSION

    @property
    def address(self) -> tuple[str, str]:
        """Partition and key of the row."""
        raise NotImplementedError


class AssessmentState(StrEnum):
    """``judged`` still has its outbox to write; ``done`` and ``dead`` are terminal."""

    NEW = "new"
    DESCRIBED = "described"
    WAITING = "waiting"
    JUDGED = "judged"
    DONE = "done"
    DEAD = "dead"


class TaskUse(Model):
    """A scanner instance asked about an image, the task that answers, and the first run whose answer counts."""

    instance: str
    task: str
    run: int


class ImageState(Model):
    """One container's image on its way."""

    container: str
    init: bool = False
    name: str
    image: ResolvedImage | None = None
    error: str = ""
    error_kind: str = ""
    tasks: tuple[TaskUse, ...] = ()

    @property
    def is_settled(self) -> bool:
        """Resolved, or never will be."""
        return self.image is not None or bool(self.error_kind)


class OutboxRef(Model):
    """An item this verdict owes to somebody."""

    kind: OutboxKind
    instance: str


class Assessment(Traced, Document):
    """One observation of a deployment, from its event to its verdict.

    ``revision`` is drawn by whoever judges, so a judgement that was overtaken can never hide a later one.
    ``claimed`` is the revision being written now; ``revision`` the last one that was finished.
    """

    TABLE: ClassVar[str] = "assessment"

    id: str
    event: Event
    lane: Lane = Lane.FRESH
    force: bool = False
    state: AssessmentState = AssessmentState.NEW
    created_at: Instant
    deployment: Deployment | None = None
    images: tuple[ImageState, ...] = ()
    deadline: Instant | None = None
    claimed: int = 0
    claimed_at: Instant | None = None
    revision: int = 0
    answered: int = 0
    """How many of the tasks had ended at the last judgement; one that ends later judges again."""
    unserved: tuple[str, ...] = ()
    """Tasks that had no report at the last judgement; one that has, later, judges again."""
    outbox: tuple[OutboxRef, ...] = ()
    not_before: Instant | None = None
    """When the platform may be asked, at the earliest."""
    slot: Instant | None = None
    slot_of: str = ""
    """The slot that is booked for asking, and in which book."""
    unread: str = ""
    """Why the platform may not read the deployment; its verdict is unknown, and it can be replayed."""
    closed_at: Instant | None = None
    """When the deployment was found gone; such an assessment has no verdict."""
    attempts: int = 0
    error: str = ""
    error_kind: str = ""
    dropped: str = ""
    """Why somebody let it rest after it died."""

    @property
    def address(self) -> tuple[str, str]:
        """Partition and key of the row."""
        return self.id, ""

    @property
    def tasks(self) -> frozenset[str]:
        """The ids of all its tasks."""
        return frozenset(use.task for image in self.images for use in image.tasks)


def reborn(assessment: Assessment, now: datetime) -> Assessment:
    """The same assessment, from its start; revisions go on counting."""
    return Assessment(
        id=assessment.id,
        event=assessment.event,
        lane=assessment.lane,
        force=assessment.force,
        created_at=now,
        traceparent=assessment.traceparent,
        claimed=assessment.claimed,
        revision=assessment.revision,
    )


class Head(Document):
    """Which observation of a deployment is the newest; ``closed_at`` is when it was found gone since."""

    TABLE: ClassVar[str] = "head"

    resource: str
    assessment: str
    seen_at: Instant
    closed_at: Instant | None = None

    @property
    def address(self) -> tuple[str, str]:
        """Partition and key of the row."""
        return head_partition(self.resource), ""


def head_partition(resource_id: str) -> str:
    """Where a deployment's head is kept; ids compare lower-cased."""
    return stable_id("head", resource_id.lower())


class TaskState(StrEnum):
    """``intent`` means that a submit may have gone out; ``submitted`` that a ticket is held."""

    PENDING = "pending"
    INTENT = "intent"
    SUBMITTED = "submitted"
    DONE = "done"
    FAILED = "failed"


TERMINAL_TASK = frozenset({TaskState.DONE, TaskState.FAILED})


class SourceState(Model):
    """One place the image can be read from. Failure belongs to the place, success to the digest."""

    image: ResolvedImage
    error: str = ""
    error_kind: str = ""


class TaskResult(Model):
    """The last report of a task; it stays while a newer scan is in progress, or fails."""

    report: str
    run: int
    info: ScannerInfo
    findings: int
    finished_at: Instant


class ScanTask(Traced, Document):
    """One scan of one digest by one scanner instance with one set of options."""

    TABLE: ClassVar[str] = "task"

    id: str
    digest: Digest
    platform: Platform
    instance: str
    plugin: str
    lane: Lane
    priority: Lane = Lane.FRESH
    """Whose share of the scanner's quota it uses: fresh or bulk."""
    sources: tuple[SourceState, ...]
    state: TaskState = TaskState.PENDING
    run: int = 1
    has_fallback: bool = False
    """Somebody who waits has another scanner to turn to when this one cannot answer in time."""
    opened_by: str = ""
    """The assessment that asked for this run, and that sees to it that its first message is sent."""
    created_at: Instant
    deadline: Instant
    not_before: Instant | None = None
    slot: Instant | None = None
    """The slot of the scanner's quota that is booked for the next step."""
    lease: str = ""
    lease_until: Instant | None = None
    attempts: int = 0
    ticket: Mapping[str, JsonValue] | None = None
    ticket_not_before: Instant | None = None
    ticket_requests: int | None = Field(default=None, ge=0)
    """How many requests the next poll may send, when the ticket says so."""
    result: TaskResult | None = None
    failed_at: Instant | None = None
    failures: int = 0
    """Runs that failed since the last report."""
    barred_until: Instant | None = None
    """Until then the last failure is the answer for whoever asks, unless forced: no new run."""
    error: str = ""
    error_kind: str = ""
    dropped: str = ""

    @property
    def address(self) -> tuple[str, str]:
        """Partition and key of the row."""
        return self.id, ""

    @property
    def source(self) -> ResolvedImage | None:
        """The first place that has not failed."""
        return next((source.image for source in self.sources if not source.error_kind), None)


def task_id(image: ResolvedImage, instance: str, fingerprint: str) -> str:
    """Digest, platform, scanner instance, and the options that change the result."""
    return stable_id("task", image.digest, image.platform, image.platform.os_version, instance, fingerprint)


class Waiter(Traced, Document):
    """An assessment that waits for a task; a row of its own, so that no row grows with the fleet."""

    TABLE: ClassVar[str] = "waiter"

    task: str
    assessment: str
    lane: Lane

    @property
    def address(self) -> tuple[str, str]:
        """Partition and key of the row."""
        return self.task, self.assessment


class OutboxState(StrEnum):
    """``overtaken`` means that a later revision of the verdict is delivered instead."""

    PENDING = "pending"
    DONE = "done"
    OVERTAKEN = "overtaken"
    DEAD = "dead"


TERMINAL_OUTBOX = frozenset({OutboxState.DONE, OutboxState.OVERTAKEN, OutboxState.DEAD})


class OutboxItem(Traced, Document):
    """One delivery: a sink write, a notification or an action."""

    TABLE: ClassVar[str] = "outbox"

    id: str
    assessment: str
    revision: int
    kind: OutboxKind
    instance: str
    lane: Lane
    state: OutboxState = OutboxState.PENDING
    created_at: Instant
    not_before: Instant | None = None
    lease: str = ""
    lease_until: Instant | None = None
    attempts: int = 0
    error: str = ""
    error_kind: str = ""
    dropped: str = ""
    reference: str = ""
    delivered_at: Instant | None = None

    @property
    def address(self) -> tuple[str, str]:
        """Partition and key of the row."""
        return self.assessment, self.id


def outbox_id(assessment: str, revision: int, ref: OutboxRef) -> str:
    """The same item for the same revision and destination."""
    return stable_id("outbox", assessment, revision, ref.kind, ref.instance)
