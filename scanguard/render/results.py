"""Lists of stored verdicts, and what runs a vulnerability now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from scanguard.model.merged import MergedFinding, MergedReport
from scanguard.model.severity import Severity
from scanguard.model.verdict import ImageVerdict, Verdict
from scanguard.render.document import Column, Document, Line, Span, Table, badge, severity_span
from scanguard.render.text import ago, listing, short_digest, short_id

_SHOWN = (Severity.CRITICAL, Severity.HIGH)


def results_document(verdicts: Sequence[Verdict], *, now: datetime) -> Document:
    """Verdicts in the order given, a row each; says so when there are none."""
    if not verdicts:
        return (Line.of("No stored verdict matches."),)
    columns = (
        Column("DECIDED"),
        Column("VERDICT"),
        Column("DEPLOYMENT", weight=2),
        Column("IMAGES", weight=1),
        *(Column(severity.value, right=True, needs=100) for severity in _SHOWN),
        Column("ID"),
    )
    return (Table(columns, tuple(_row(verdict, now) for verdict in verdicts)),)


def _row(verdict: Verdict, now: datetime) -> tuple[Span, ...]:
    images = list(dict.fromkeys(image.name for image in verdict.images))
    return (
        Span(ago(verdict.decided_at, now)),
        Span(f"{verdict.outcome} (closed)", "muted") if verdict.closed_at else badge(verdict.outcome),
        Span("by hand" if verdict.deployment.kind == "image" else verdict.deployment.name),
        Span(listing(images, most=2)),
        *(_count(verdict, severity) for severity in _SHOWN),
        Span(short_id(verdict.id), "muted"),
    )


def _count(verdict: Verdict, severity: Severity) -> Span:
    total = sum(image.counts.get(severity, 0) for image in verdict.images)
    return severity_span(severity, f"{total:,}") if total else Span("0", "muted")


def affected_document(
    vulnerability: str, verdicts: Sequence[Verdict], reports: Mapping[str, MergedReport], *, now: datetime
) -> Document:
    """What runs a vulnerability now: deployment, image, package, what fixes it.

    An image whose stored report is gone is still listed: the record says that it has the vulnerability.
    """
    if not verdicts:
        return (Line.of(f"No deployment's latest verdict rests on an image with {vulnerability}."),)
    columns = (
        Column("DEPLOYMENT", weight=2),
        Column("IMAGE", weight=2),
        Column("DIGEST", needs=130),
        Column("SEVERITY"),
        Column("PACKAGE", weight=1),
        Column("INSTALLED", weight=1),
        Column("FIXED IN", weight=1),
        Column("SEEN", needs=100),
    )
    rows = tuple(row for verdict in verdicts for row in _affected(vulnerability, verdict, reports, now))
    return (Table(columns, rows),)


def _affected(
    vulnerability: str, verdict: Verdict, reports: Mapping[str, MergedReport], now: datetime
) -> list[tuple[Span, ...]]:
    found = [
        (image, merged)
        for image in verdict.images
        for merged in matching(vulnerability, reports.get(image.merged or ""))
    ]
    known: list[tuple[ImageVerdict | None, MergedFinding | None]] = [*found] or [(None, None)]
    return [_affected_row(verdict, image, merged, now) for image, merged in known]


def matching(vulnerability: str, report: MergedReport | None) -> list[MergedFinding]:
    """The findings of a report with this id or alias, in any case of letters."""
    wanted = vulnerability.casefold()
    findings = report.findings if report else ()
    return [merged for merged in findings if wanted in {name.casefold() for name in merged.finding.ids}]


def _affected_row(
    verdict: Verdict, image: ImageVerdict | None, merged: MergedFinding | None, now: datetime
) -> tuple[Span, ...]:
    names = listing(list(dict.fromkeys(image.name for image in verdict.images)), most=2)
    digest = short_digest(image.image.digest) if image and image.image else ""
    finding = merged.finding if merged else None
    return (
        Span("by hand" if verdict.deployment.kind == "image" else verdict.deployment.name, "strong"),
        Span(image.name if image else names),
        Span(digest, "muted"),
        severity_span(finding.severity) if finding else Span("no details", "odd"),
        Span(finding.package.name if finding else ""),
        Span(finding.package.version if finding else ""),
        Span(", ".join(finding.fixed_versions) or "no fix known" if finding else "", "good"),
        Span(ago(verdict.deployment.seen_at, now), "muted"),
    )
