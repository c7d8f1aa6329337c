"""The judgement of a deployment, and why."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from pydantic import JsonValue

from scanguard.model.base import SCHEMA_VERSION, Instant, Model
from scanguard.model.deployment import Deployment, Event
from scanguard.model.image import ResolvedImage
from scanguard.model.outcome import Outcome as Outcome  # noqa: PLC0414  # its home for everybody else is here
from scanguard.model.report import ScannerInfo
from scanguard.model.severity import Severity


class Action(Model):
    """Something a policy wants the platform to do to a deployment, such as ``tag`` or ``stop``."""

    kind: Literal["tag", "stop", "divert", "suspend", "assign"]
    parameters: Mapping[str, JsonValue] = {}


class Reason(Model):
    """One rule's contribution: which policy, which outcome, in words, resting on which finding ids."""

    policy: str
    outcome: Outcome
    message: str
    findings: tuple[str, ...] = ()


class PolicyDecision(Model):
    """What one policy says of one image."""

    outcome: Outcome
    reasons: tuple[Reason, ...] = ()
    actions: tuple[Action, ...] = ()


class ScannerStatus(StrEnum):
    """Where one scanner stands with one image."""

    DONE = "done"
    FAILED = "failed"
    PENDING = "pending"


class ScannerOutcome(Model):
    """What became of one scanner for one image; a failure is said, never an empty report."""

    instance: str
    plugin: str
    status: ScannerStatus
    info: ScannerInfo | None = None
    report: str | None = None
    """Name of the stored report."""
    scanned_at: Instant | None = None
    reused: bool = False
    """True when an earlier scan of the same digest was fresh enough."""
    needed: bool = True
    """False when the chain lets another scanner's report stand in for this one."""
    error: str = ""
    error_kind: str = ""
    findings: int = 0


class ImageVerdict(Model):
    """One container's image: what it resolved to, who looked, what they said, what was decided."""

    container: str
    init: bool = False
    name: str
    image: ResolvedImage | None = None
    error: str = ""
    error_kind: str = ""
    scanners: tuple[ScannerOutcome, ...] = ()
    merged: str | None = None
    """Name of the stored merged report."""
    counts: Mapping[Severity, int] = {}
    fixable: int = 0
    outcome: Outcome
    reasons: tuple[Reason, ...] = ()


class ChainChoice(Model):
    """Which chain applied and why, one step a line."""

    name: str
    why: tuple[str, ...] = ()


class Verdict(Model):
    """The judgement of one observation of a deployment: the record that is stored, sent and explained.

    ``revision`` grows when a late report makes the engine judge the same assessment again.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    id: str
    """The assessment's id, and the correlation id from event to notice."""
    revision: int = 1
    outcome: Outcome
    deployment: Deployment
    event: Event
    chain: ChainChoice
    images: tuple[ImageVerdict, ...]
    reasons: tuple[Reason, ...] = ()
    actions: tuple[Action, ...] = ()
    new_findings: tuple[str, ...] = ()
    """Ids that the deployment's previous verdict did not have."""
    previous: Outcome | None = None
    """The deployment's verdict before this one, from an earlier assessment."""
    decided_at: Instant
    closed_at: Instant | None = None
    """When the deployment was found gone; this is the last that was decided about it."""
