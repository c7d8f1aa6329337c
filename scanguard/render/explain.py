"""The whole story of one verdict: event, deployment, chain, images, deciding findings, deliveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scanguard.model.merged import MergedReport
from scanguard.model.verdict import ImageVerdict, Outcome, Reason, Verdict
from scanguard.render.agreement import agreement_table, differing_lines
from scanguard.render.document import BLANK, Block, Document, Entries, Line, Span, badge, heading
from scanguard.render.findings import findings_table
from scanguard.render.phrases import counts_line, gaps_table, other_lines
from scanguard.render.text import ago, count, instant, listing
from scanguard.render.verdict import deployment_kind, error_lines, scanners_block

_DECIDING_SHOWN = 20


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One delivery of a verdict: ``destination``, where it stands in a word, and a detail to show beside it."""

    destination: str
    state: str
    detail: str = ""
    failed: bool = False


def explain_document(
    verdict: Verdict,
    reports: Mapping[str, MergedReport],
    *,
    now: datetime,
    deliveries: Sequence[DeliveryLine] | None = None,
    freshness: timedelta | None = None,
) -> Document:
    """Explain a verdict from event to delivery; ``deliveries`` is None when they are not known."""
    blocks: list[Block] = [
        _title(verdict, now),
        *closed_lines(verdict, now),
        BLANK,
        *_event(verdict),
        *_deployment(verdict),
        *_chain(verdict),
    ]
    for number, image in enumerate(verdict.images, start=1):
        report = reports.get(image.merged) if image.merged else None
        where = f"Image {number} of {len(verdict.images)}"
        blocks += [BLANK, *_image(where, image, report, now=now, freshness=freshness)]
    blocks += [BLANK, *_decision(verdict)]
    if deliveries is not None:
        blocks += [BLANK, *_deliveries(deliveries)]
    return tuple(blocks)


def _title(verdict: Verdict, now: datetime) -> Line:
    when = f"decided {ago(verdict.decided_at, now)} ({instant(verdict.decided_at)})"
    name = Span(verdict.deployment.name, "strong")
    kind = deployment_kind(verdict.deployment.kind)
    return Line.of(badge(verdict.outcome), "  ", f"{kind} ", name, Span(f", {when}", "muted"))


def closed_lines(verdict: Verdict, now: datetime) -> list[Line]:
    """That the deployment is gone, when it is."""
    if verdict.closed_at is None:
        return []
    when = f"found gone {ago(verdict.closed_at, now)} ({instant(verdict.closed_at)})"
    return [Line.of(Span("closed", "strong"), f": the deployment is gone, {when}; this is its last verdict")]


def _entries(*pairs: tuple[str, str | Line]) -> Entries:
    rows = tuple(
        (Span(label, "muted"), value if isinstance(value, Line) else Line.of(value)) for label, value in pairs if value
    )
    return Entries(rows, indent=2)


def _event(verdict: Verdict) -> list[Block]:
    event = verdict.event
    named = f"{event.type} {event.operation}".strip()
    return [
        heading("Event"),
        _entries(
            ("what", named),
            ("when", instant(event.time)),
            ("source", event.source),
            ("id", event.id),
            ("by", event.actor or ""),
        ),
    ]


def _deployment(verdict: Verdict) -> list[Block]:
    deployment = verdict.deployment
    tags = ", ".join(f"{key}={value}" for key, value in sorted(deployment.tags.items()))
    return [
        heading("Deployment"),
        _entries(
            ("resource", deployment.resource_id),
            ("location", deployment.location),
            ("platform", str(deployment.platform) if deployment.platform else ""),
            ("tags", tags),
            ("seen", instant(deployment.seen_at)),
        ),
    ]


def _chain(verdict: Verdict) -> list[Block]:
    lines = [Line.of(step, indent=2) for step in verdict.chain.why]
    return [heading(f"Chain {verdict.chain.name}"), *lines]


def _image(
    where: str, image: ImageVerdict, report: MergedReport | None, *, now: datetime, freshness: timedelta | None
) -> list[Block]:
    title = Line.of(Span(f"{where}: ", "heading"), Span(image.name, "strong"), "  ", badge(image.outcome))
    blocks: list[Block] = [title, _identity(image)]
    if image.error:
        blocks += error_lines(image.error, image.error_kind, indent=2)
    blocks += [scanners_block(image, now=now, freshness=freshness)] if image.scanners else []
    summary = counts_line(image)
    blocks += [Line(summary.spans, indent=2), *other_lines(report, indent=2)]
    agreement = agreement_table(report, indent=2)
    blocks += [BLANK, agreement] if agreement else []
    differing = differing_lines(report.findings if report else (), limit=_DECIDING_SHOWN, indent=2)
    blocks += [BLANK, *differing] if differing else []
    gaps = gaps_table(report, indent=2)
    blocks += [BLANK, gaps] if gaps else []
    return [*blocks, *_decided_by(image, report)]


def _identity(image: ImageVerdict) -> Entries:
    resolved = image.image
    container = f"{image.container}{' (init)' if image.init else ''}"
    if resolved is None:
        return _entries(("container", container))
    return _entries(
        ("container", container),
        ("from", resolved.repository),
        ("digest", resolved.digest),
        ("platform", str(resolved.platform)),
        ("resolved", instant(resolved.resolved_at)),
    )


def _decided_by(image: ImageVerdict, report: MergedReport | None) -> list[Block]:
    """The rules that spoke of this image, and the findings that the deciding ones rest on."""
    blocks: list[Block] = [BLANK] if image.reasons else []
    for reason in image.reasons:
        blocks.append(_rule(reason, decided=reason.outcome is image.outcome))
    wanted = {name for reason in image.reasons if reason.outcome is image.outcome for name in reason.findings}
    findings = [merged for merged in report.findings if merged.finding.ids & wanted] if report else []
    if findings:
        blocks += [BLANK, *findings_table(findings, limit=_DECIDING_SHOWN, indent=2, hint="--format json has all")]
    elif wanted:
        blocks.append(Line.of(f"rests on {listing(sorted(wanted))}", indent=4))
    return blocks


def _rule(reason: Reason, *, decided: bool) -> Line:
    note = Span(" (decided)" if decided else "", "muted")
    return Line.of("rule ", Span(reason.policy, "strong"), " says ", badge(reason.outcome), note, f": {reason.message}",
                   indent=2)  # fmt: skip


def _decision(verdict: Verdict) -> list[Block]:
    worst = [image.name for image in verdict.images if image.outcome is verdict.outcome]
    because = f" because of {listing(list(dict.fromkeys(worst)))}" if worst else ""
    blocks: list[Block] = [heading("Decision"), Line.of(badge(verdict.outcome), because, indent=2)]
    blocks += [_rule(reason, decided=reason.outcome is verdict.outcome) for reason in verdict.reasons]
    blocks.append(
        _entries(
            ("before", _before(verdict.previous, verdict.new_findings)),
            ("revision", f"{verdict.revision} (judged again after a late report)" if verdict.revision > 1 else ""),
            ("actions", ", ".join(action.kind for action in verdict.actions)),
            ("id", verdict.id),
        )
    )
    return blocks


def _before(previous: Outcome | None, new: tuple[str, ...]) -> str:
    if previous is None:
        return "this deployment had no verdict before"
    told = f"; {count(len(new), 'finding')} it did not have: {listing(list(new))}" if new else "; nothing new"
    return f"{previous.value}{told}"


def _deliveries(deliveries: Sequence[DeliveryLine]) -> list[Block]:
    if not deliveries:
        return [heading("Deliveries"), Line.of("none: the chain names no sink and no notifier", indent=2)]
    rows = tuple(
        (Span(line.destination), Line.of(Span(line.state, "bad" if line.failed else "good"), f"  {line.detail}"))
        for line in deliveries
    )
    return [heading("Deliveries"), Entries(rows, indent=2)]
