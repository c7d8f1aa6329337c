"""Entries of the data: theirs is our own model, ours is what a receiver gets. Pure.

Texts that outsiders write are cut to a length and then end in an ellipsis; ids, digests and numbers are whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from scanguard.builtin.webhook_data import (
    WebhookDeployment,
    WebhookFinding,
    WebhookGap,
    WebhookImage,
    WebhookReason,
    WebhookScanner,
)
from scanguard.model.merged import MergedFinding, MergedReport
from scanguard.model.report import CoverageItem
from scanguard.model.verdict import ImageVerdict, Reason, Verdict
from scanguard.render.text import truncate

MAX_TEXT: Final = 300
MAX_MESSAGE: Final = 500
MAX_IDS: Final = 20
MAX_SCANNERS: Final = 16
_MAX_ERROR: Final = 120


def deployment_entry(verdict: Verdict) -> WebhookDeployment:
    """The deployment, its tags left out."""
    deployment = verdict.deployment
    return WebhookDeployment(
        resource_id=deployment.resource_id,
        kind=truncate(deployment.kind, MAX_TEXT),
        name=truncate(deployment.name, MAX_TEXT),
        subscription=truncate(deployment.subscription, MAX_TEXT),
        resource_group=truncate(deployment.resource_group, MAX_TEXT),
        location=truncate(deployment.location, MAX_TEXT),
    )


def image_entry(image: ImageVerdict, report: MergedReport | None) -> WebhookImage:
    """One container's image, and its merged report when there is one."""
    return WebhookImage(
        container=truncate(image.container, MAX_TEXT),
        init=image.init,
        name=truncate(image.name, MAX_TEXT),
        digest=image.image.digest if image.image else None,
        platform=truncate(str(image.image.platform), MAX_TEXT) if image.image else None,
        outcome=image.outcome,
        error=truncate(image.error, MAX_TEXT),
        counts=image.counts,
        fixable=image.fixable,
        is_covered=report is not None
        and bool(report.coverage)
        and all(one.is_complete for one in report.coverage.values()),
        report=image.merged,
        scanners=tuple(
            WebhookScanner(instance=one.instance, status=one.status, error=truncate(one.error, _MAX_ERROR))
            for one in image.scanners[:MAX_SCANNERS]
        ),
    )


def reason_entry(container: str | None, reason: Reason) -> WebhookReason:
    """One reason, and the container it is about."""
    return WebhookReason(
        container=None if container is None else truncate(container, MAX_TEXT),
        policy=truncate(reason.policy, MAX_TEXT),
        outcome=reason.outcome,
        message=truncate(reason.message, MAX_MESSAGE),
        findings=_clipped(reason.findings),
        findings_total=len(reason.findings),
    )


def gap_entry(digest: str, scanner: str, gap: CoverageItem) -> WebhookGap:
    """One gap in what a scanner looked at."""
    return WebhookGap(
        digest=digest,
        scanner=scanner,
        subject=truncate(gap.subject, MAX_TEXT),
        status=gap.status,
        detail=truncate(gap.detail, MAX_TEXT),
    )


def finding_entry(digest: str, merged: MergedFinding, new: frozenset[str]) -> WebhookFinding:
    """One finding of the image with this digest; ``new`` are the ids that were not there before."""
    finding = merged.finding
    return WebhookFinding(
        id=truncate(finding.id, MAX_TEXT),
        aliases=_clipped(finding.aliases),
        severity=finding.severity,
        package=truncate(finding.package.name, MAX_TEXT),
        version=truncate(finding.package.version, MAX_TEXT),
        purl=truncate(finding.package.purl, MAX_TEXT),
        fixed_versions=_clipped(finding.fixed_versions),
        title=truncate(finding.title, MAX_TEXT),
        known_exploited=finding.kev is not None,
        epss=finding.epss.score if finding.epss else None,
        found_by=_clipped(merged.found_by),
        digest=digest,
        is_new=finding.id in new,
    )


def _clipped(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(truncate(text, _MAX_ERROR) for text in texts[:MAX_IDS])
