"""A verdict as ``scanguard scan`` and ``event`` tell it: findings, gaps, who looked, and the verdict last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from scanguard.model.merged import MergedReport
from scanguard.model.severity import Severity
from scanguard.model.verdict import ImageVerdict, Outcome, Reason, Verdict
from scanguard.render.advice import advice_for
from scanguard.render.agreement import agreement_table
from scanguard.render.document import BLANK, Block, Column, Document, Entries, Line, Span, Table, badge, severity_span
from scanguard.render.findings import findings_table
from scanguard.render.phrases import WORST_FIRST, counts_line, gaps_table, other_lines, resolved_line, scanner_line
from scanguard.render.text import listing, short_id, span_of

_KINDS = {
    "container_group": "container group",
    "container_app": "container app",
    "container_app_job": "container app job",
    "image": "image",
}


def verdict_document(
    verdict: Verdict,
    reports: Mapping[str, MergedReport],
    *,
    now: datetime,
    limit: int = 0,
    freshness: timedelta | None = None,
) -> Document:
    """One verdict.

    Args:
        verdict: What to tell.
        reports: The merged reports by the name in ``ImageVerdict.merged``; a missing one is said.
        now: The moment that ages are counted from.
        limit: Most findings shown per image; 0 shows all.
        freshness: How long a scan counts as fresh, when known: says until when a reused one is.
    """
    blocks: list[Block] = []
    if verdict.deployment.kind != "image":
        blocks += [_deployment_line(verdict), BLANK]
    for image in verdict.images:
        report = reports.get(image.merged) if image.merged else None
        title = image_title(image, judged=len(verdict.images) > 1)
        blocks += [title, *_image_blocks(image, report, now=now, limit=limit, freshness=freshness), BLANK]
    return (*blocks, *conclusion(verdict))


def deployment_kind(kind: str) -> str:
    """A deployment's kind in words."""
    return _KINDS.get(kind, kind)


def _deployment_line(verdict: Verdict) -> Line:
    deployment = verdict.deployment
    place = ", ".join(part for part in (deployment.resource_group, deployment.location) if part)
    name = Span(deployment.name, "strong")
    return Line.of(f"{deployment_kind(deployment.kind)} ".capitalize(), name, f" ({place})" if place else "")


def _image_blocks(
    image: ImageVerdict, report: MergedReport | None, *, now: datetime, limit: int, freshness: timedelta | None
) -> list[Block]:
    blocks: list[Block] = []
    if image.image:
        blocks.append(resolved_line(image.image))
    if image.error:
        blocks += error_lines(image.error, image.error_kind, indent=2)
    if image.scanners:
        blocks.append(scanners_block(image, now=now, freshness=freshness))
    if report and report.findings:
        blocks += [BLANK, *findings_table(report.findings, limit=limit)]
    elif image.merged and report is None:
        blocks.append(Line.of(Span("Its stored report cannot be found; only the counts are left.", "odd"), indent=2))
    if not image.scanners:
        return [*blocks, Line(counts_line(image).spans, indent=2)]
    blocks += [BLANK, counts_line(image), *other_lines(report)]
    agreement = agreement_table(report)
    blocks += [BLANK, agreement] if agreement else []
    gaps = gaps_table(report)
    return [*blocks, BLANK, gaps] if gaps else blocks


def image_title(image: ImageVerdict, *, judged: bool) -> Line:
    """The image as it was named, the container that runs it when that says more, and its own verdict if asked."""
    role = "init container" if image.init else "container"
    told = f"  ({role} {image.container})" if image.container and image.container != image.name else ""
    verdict = ("  ", badge(image.outcome)) if judged else ()
    return Line.of(Span(image.name, "strong"), Span(told, "muted"), *verdict)


def error_lines(error: str, kind: str, *, indent: int) -> list[Line]:
    """An error, and what to do about it."""
    lines = [Line.of(Span("error: ", "bad"), error, indent=indent)]
    advice = advice_for(kind)
    return [*lines, Line.of(Span("to do: ", "strong"), advice, indent=indent)] if advice else lines


def scanners_block(image: ImageVerdict, *, now: datetime, freshness: timedelta | None = None) -> Entries:
    """Who looked: one entry per scanner, its failure and what to do, or that an earlier scan was reused."""
    rows: list[tuple[Span, Line]] = []
    for scanner in image.scanners:
        rows.append((Span(scanner.instance), scanner_line(scanner, now)))
        if scanner.error_kind and (advice := advice_for(scanner.error_kind)):
            rows.append((Span(""), Line.of(Span("to do: ", "strong"), advice)))
        if scanner.reused:
            rows.append((Span(""), _reuse_line(scanner.scanned_at, now, freshness)))
    return Entries(tuple(rows), indent=2)


def _reuse_line(scanned_at: datetime | None, now: datetime, freshness: timedelta | None) -> Line:
    left = scanned_at + freshness - now if scanned_at and freshness else None
    if left is None:
        until = "still fresh"
    elif left > timedelta(0):
        until = f"fresh for another {span_of(left)}"
    else:
        until = "no longer fresh: the next scan looks again"
    return Line.of(Span("reused", "notice"), f": an earlier scan of this digest, {until}; --force scans again")


def conclusion(verdict: Verdict) -> list[Block]:
    """The verdict, the rules that decided it, and how to hear more."""
    reasons = deciding_reasons(verdict)
    first = reasons[0] if reasons else None
    blocks: list[Block] = [Line.of(badge(verdict.outcome), "  ", *(_reason(first) if first else _no_reason(verdict)))]
    blocks += [Line.of(*_reason(reason), indent=_width_of(verdict.outcome)) for reason in reasons[1:]]
    explain = Span(f"scanguard explain {short_id(verdict.id)}", "muted")
    return [*blocks, Line((explain,), indent=_width_of(verdict.outcome))]


def _width_of(outcome: Outcome) -> int:
    return len(outcome.value) + 2


def _no_reason(verdict: Verdict) -> tuple[Span, ...]:
    return (Span("no rule objects" if verdict.outcome is Outcome.PASS else "no rule gave a reason"),)


def _reason(reason: Reason) -> tuple[Span, ...]:
    resting = f" ({listing(list(reason.findings))})" if reason.findings else ""
    return (Span(reason.policy, "strong"), Span(f": {reason.message}"), Span(resting, "muted"))


def deciding_reasons(verdict: Verdict) -> list[Reason]:
    """The reasons, of the deployment and of its images, whose outcome is the verdict's; each once."""
    everything = (*verdict.reasons, *(reason for image in verdict.images for reason in image.reasons))
    return list(dict.fromkeys(reason for reason in everything if reason.outcome is verdict.outcome))


def summary_document(verdicts: Sequence[Verdict]) -> Document:
    """One line per verdict, for when there are several."""
    severities = [severity for severity in WORST_FIRST if _total(verdicts, severity)]
    columns = (
        Column("VERDICT"),
        Column("WHAT", weight=1),
        *(Column(severity.value, right=True) for severity in severities),
        Column("ID", needs=110),
    )
    rows = tuple(
        (
            badge(verdict.outcome),
            Span(verdict.deployment.name),
            *(_amount(verdict, severity) for severity in severities),
            Span(short_id(verdict.id), "muted"),
        )
        for verdict in verdicts
    )
    return (Table(columns, rows),)


def _amount(verdict: Verdict, severity: Severity) -> Span:
    total = _total([verdict], severity)
    return severity_span(severity, f"{total:,}") if total else Span("0", "muted")


def _total(verdicts: Sequence[Verdict], severity: Severity) -> int:
    return sum(image.counts.get(severity, 0) for verdict in verdicts for image in verdict.images)
