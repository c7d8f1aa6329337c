"""What happened, as structured log records: scans and verdicts for people who watch, actions for those who audit.

They are telemetry: what is sampled, capped or killed before it was exported is gone. The record of truth is the store.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from scanguard.model.severity import Severity
from scanguard.model.verdict import ImageVerdict, ScannerStatus, Verdict

EVENTS: Final = "scanguard.events"
AUDIT: Final = "scanguard.audit"
EVENT_NAME: Final = "event.name"
"""The attribute that names an event, as OpenTelemetry has it."""
CONTAINER_SCAN: Final = "ContainerScan"
SCAN_STARTED: Final = "ContainerScanStarted"
SCAN_FAILED: Final = "ContainerScanFailed"
AUDIT_EVENT: Final = "ScanguardAudit"
ENGINE: Final = "engine"
"""Who acts when nobody asked for it by name."""
CONTAINER_TYPES: Final = {"container_group": "ACI", "container_app": "ACA", "container_app_job": "ACA"}
SCAN_DIMENSIONS: Final = ("EventType", "Image", "Digest", "ScanId", "TaskId", "Component")
"""Of a scan that starts, or fails."""
FAILURE_DIMENSIONS: Final = ("Error", "ErrorKind")
"""Of a scan that fails, besides."""
VERDICT_DIMENSIONS: Final = (
    "EventType", "Image", "Digest", "Container", "ContainerType", "Kind", "Subscription", "ResourceGroup", "Resource",
    "ScanId", "Revision", "Verdict", "DeploymentVerdict", "Scanners", "Duration",
)  # fmt: skip
"""Of a verdict on an image; one that has a report has counts, and their total, besides."""
COUNTS: Final = {severity: f"Vuln{severity.value.capitalize()}" for severity in Severity}
TOTAL: Final = "VulnTotal"
AUDIT_DIMENSIONS: Final = ("EventType", "Action", "Actor", "Target", "Outcome", "ScanId", "Detail")
_ACTOR: ContextVar[str] = ContextVar("scanguard_actor", default=ENGINE)
_events = logging.getLogger(EVENTS)
_audit = logging.getLogger(AUDIT)


@contextmanager
def acting(who: str) -> Iterator[None]:
    """What is asked for inside is asked for by ``who``: an object id, the name of a key, ``cli``; nothing personal."""
    token = _ACTOR.set(who)
    try:
        yield
    finally:
        _ACTOR.reset(token)


def verdict_decided(verdict: Verdict) -> None:
    """One ``ContainerScan`` for each image of a verdict; a later revision says so of all of them again."""
    if not _events.isEnabledFor(logging.INFO):
        return
    for image in verdict.images:
        said = {EVENT_NAME: CONTAINER_SCAN, "correlation_id": verdict.id, **_dimensions(verdict, image)}
        _events.info("%s: %s", image.name, image.outcome.value, extra=said)


def _dimensions(verdict: Verdict, image: ImageVerdict) -> dict[str, str | int | float]:
    deployment = verdict.deployment
    reported = [one.instance for one in image.scanners if one.status is ScannerStatus.DONE]
    values = (
        CONTAINER_SCAN,
        image.name,
        image.image.digest if image.image else "",
        image.container,
        CONTAINER_TYPES.get(deployment.kind, deployment.kind),
        deployment.kind,
        deployment.subscription,
        deployment.resource_group,
        deployment.resource_id,
        verdict.id,
        verdict.revision,
        image.outcome.value,
        verdict.outcome.value,
        ",".join(reported),
        round(max((verdict.decided_at - verdict.event.time).total_seconds(), 0.0), 3),
    )
    return {**dict(zip(VERDICT_DIMENSIONS, values, strict=True)), **_counts(image)}


def _counts(image: ImageVerdict) -> dict[str, int]:
    """Nothing, rather than zeros, for an image that nobody has a report of."""
    if image.merged is None:
        return {}
    counted = {name: image.counts.get(severity, 0) for severity, name in COUNTS.items()}
    return {**counted, TOTAL: sum(counted.values())}


def scan_started(*, image: str, digest: str, scanner: str, task: str, assessment: str) -> None:
    """A scanner is asked to begin with an image."""
    if _events.isEnabledFor(logging.INFO):
        values = (SCAN_STARTED, image, digest, assessment, task, scanner)
        about = dict(zip(SCAN_DIMENSIONS, values, strict=True))
        _events.info("%s: %s begins", image, scanner, extra={EVENT_NAME: SCAN_STARTED, **about})


def scan_failed(
    *, image: str, digest: str, scanner: str, task: str, assessment: str, error: str, error_kind: str
) -> None:
    """A scan was given up."""
    values = (SCAN_FAILED, image, digest, assessment, task, scanner)
    about = dict(zip((*SCAN_DIMENSIONS, *FAILURE_DIMENSIONS), (*values, error, error_kind), strict=True))
    _events.info("%s: %s failed: %s", image, scanner, error, extra={EVENT_NAME: SCAN_FAILED, **about})


def audit(action: str, target: str, outcome: str, *, scan: str = "", detail: str = "", who: str | None = None) -> None:
    """Something was told, or changed, outside or on somebody's request: who did what to what, and how it ended.

    Args:
        action: ``deliver.sink``, ``dead_letter.replay`` and the like: few.
        target: The instance, or the id, that it is about.
        outcome: ``done`` or ``failed``.
        scan: The assessment, if one is concerned.
        detail: Why, or what came of it.
        who: Who did it; otherwise who is :func:`acting`.
    """
    values = (AUDIT_EVENT, action, _ACTOR.get() if who is None else who, target, outcome, scan, detail)
    about = dict(zip(AUDIT_DIMENSIONS, values, strict=True))
    _audit.info("%s %s: %s", action, target, outcome, extra={EVENT_NAME: AUDIT_EVENT, **about})
