"""A notice as the data of an event, within a number of bytes. Pure.

Everything is first broken into pieces, the most important first; pieces are put in until one does not fit, and the
rest is counted. So the data is always whole JSON, its totals are exact, and what is missing is said. Texts that
outsiders write (names, messages, titles) are cut to a length before, so that none of them can crowd out the rest;
in full reports, which are not cut, a piece that is large by itself is left out alone.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from scanguard.builtin.webhook_data import WebhookData, WebhookParts
from scanguard.builtin.webhook_entries import (
    MAX_TEXT,
    deployment_entry,
    finding_entry,
    gap_entry,
    image_entry,
    reason_entry,
)
from scanguard.hooks import Notice
from scanguard.model.merged import MergedFinding, MergedReport
from scanguard.model.report import CoverageItem, count_severities
from scanguard.model.severity import Severity
from scanguard.model.verdict import ImageVerdict, Outcome, Reason, Verdict
from scanguard.render.text import truncate

_VERBATIM_SHARE: Final = 16
"""A piece of a full report may take so much of the room: one sixteenth."""
_WORST_FIRST: Final = (Outcome.FAIL, Outcome.UNKNOWN, Outcome.WARN, Outcome.PASS)


@dataclass(frozen=True, slots=True)
class _Piece:
    """One entry of one list; ``key`` where the list is a mapping, or the report it belongs to."""

    kind: str
    value: Any
    key: str = ""


def dumps(value: object) -> bytes:
    """Compact UTF-8 JSON that every parser takes: no NaN, no lone surrogate."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:  # a scanner's own words may hold a number that JSON does not have
        text = json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def build_data(
    notice: Notice, *, detail: Literal["summary", "full"], max_findings: int, max_bytes: int
) -> dict[str, Any]:
    """The data as JSON values; once written by :func:`dumps` at most ``max_bytes`` long."""
    verdict, reports = notice.verdict, _reports(notice)
    counts = Counter[Severity]()
    for image, report in reports.values():
        counts.update(_counts(image, report))
    total = _totals(verdict, reports, sum(counts.values()), detail)
    data = WebhookData(
        schema_version=1,
        verdict=verdict.id,
        revision=verdict.revision,
        decided_at=verdict.decided_at,
        outcome=verdict.outcome,
        previous=verdict.previous,
        chain=truncate(verdict.chain.name, MAX_TEXT),
        detail=detail,
        deployment=deployment_entry(verdict),
        counts={severity: counts[severity] for severity in sorted(Severity, key=lambda one: -one.rank)},
        fixable=sum(_fixable(image, report) for image, report in reports.values()),
        total=total,
        omitted=total,  # as long as it can get; set below
        truncated=False,
        images=(),
        reasons=(),
        gaps=(),
        findings=(),
        new_findings=(),
    ).model_dump(mode="json")
    _fill(data, _pieces(notice, reports, detail, max_findings), max_bytes - len(dumps(data)))
    held = _held(data)
    data["omitted"] = {kind: number - held[kind] for kind, number in data["total"].items()}
    data["truncated"] = any(data["omitted"].values())
    return data


# --- putting in -------------------------------------------------------------------------------------------


def _fill(data: dict[str, Any], pieces: Iterator[_Piece], room: int) -> None:
    largest = room // _VERBATIM_SHARE
    for piece in pieces:
        is_verbatim = piece.kind.startswith("report")
        into = _place(data, piece)
        size = len(dumps(piece.value)) + 1 + (len(dumps(piece.key)) + 1 if isinstance(into, dict) else 0)
        if into is None or (is_verbatim and size > largest):
            continue
        if size > room:
            return
        room -= size
        if isinstance(into, dict):
            into[piece.key] = piece.value
        else:
            into.append(piece.value)


def _place(data: dict[str, Any], piece: _Piece) -> dict[str, Any] | list[Any] | None:
    """The list or mapping a piece goes into; None when its report was left out."""
    if piece.kind == "tags":
        tags: dict[str, Any] = data["deployment"]["tags"]
        return tags
    if not piece.kind.startswith("report_"):
        place: dict[str, Any] | list[Any] = data[piece.kind]
        return place
    report = data["reports"].get(piece.key)
    return report[piece.kind.removeprefix("report_")] if report else None


def _held(data: Mapping[str, Any]) -> dict[str, int]:
    held = {kind: len(data[kind]) for kind in ("images", "reasons", "gaps", "findings", "new_findings", "reports")}
    held["tags"] = len(data["deployment"]["tags"])
    for kind in ("findings", "secrets", "compliance"):
        held[f"report_{kind}"] = sum(len(report[kind]) for report in data["reports"].values())
    return held


# --- what there is, most important first ------------------------------------------------------------------

_Reports = Mapping[str, tuple[ImageVerdict, MergedReport | None]]
"""Each merged report once, with an image it is about; None when the store no longer has it."""


def _reports(notice: Notice) -> _Reports:
    return {name: (image, notice.reports.get(name)) for image in notice.verdict.images if (name := image.merged)}


def _totals(verdict: Verdict, reports: _Reports, findings: int, detail: str) -> WebhookParts:
    total = WebhookParts(
        images=len(verdict.images),
        reasons=len(_reasons(verdict)),
        gaps=len(_gaps(reports)),
        findings=findings,
        new_findings=len(verdict.new_findings),
        tags=len(verdict.deployment.tags),
    )
    if detail == "summary":
        return total
    whole = [report for _, report in reports.values() if report is not None]
    in_full = {
        "reports": len(reports),
        "report_findings": findings,
        "report_secrets": sum(len(report.secrets) for report in whole),
        "report_compliance": sum(len(report.compliance) for report in whole),
    }
    return total.model_copy(update=in_full)


def _pieces(notice: Notice, reports: _Reports, detail: str, max_findings: int) -> Iterator[_Piece]:
    verdict = notice.verdict
    for image in sorted(verdict.images, key=lambda one: _WORST_FIRST.index(one.outcome)):
        yield _Piece("images", image_entry(image, notice.reports.get(image.merged or "")).model_dump(mode="json"))
    for container, reason in _reasons(verdict):
        yield _Piece("reasons", reason_entry(container, reason).model_dump(mode="json"))
    for digest, scanner, gap in _gaps(reports):
        yield _Piece("gaps", gap_entry(digest, scanner, gap).model_dump(mode="json"))
    new = frozenset(verdict.new_findings)
    for digest, merged in _by_weight(verdict, reports)[:max_findings]:
        yield _Piece("findings", finding_entry(digest, merged, new).model_dump(mode="json"))
    for found in verdict.new_findings:
        yield _Piece("new_findings", truncate(found, MAX_TEXT))
    for name, value in verdict.deployment.tags.items():
        yield _Piece("tags", truncate(value, MAX_TEXT), truncate(name, MAX_TEXT))
    if detail == "full":
        yield from _report_pieces(reports)


def _report_pieces(reports: _Reports) -> Iterator[_Piece]:
    whole = {name: report for name, (_, report) in reports.items() if report is not None}
    for name, report in whole.items():
        shell = report.model_copy(update={"findings": (), "secrets": (), "compliance": ()})
        yield _Piece("reports", shell.model_dump(mode="json"), name)
    entries = [(name, merged) for name, report in whole.items() for merged in report.findings]
    for name, merged in sorted(entries, key=lambda entry: -entry[1].finding.severity.rank):
        yield _Piece("report_findings", merged.model_dump(mode="json"), name)
    for kind in ("secrets", "compliance"):
        for name, report in whole.items():
            for entry in getattr(report, kind):
                yield _Piece(f"report_{kind}", entry.model_dump(mode="json"), name)


def _by_weight(verdict: Verdict, reports: _Reports) -> list[tuple[str, MergedFinding]]:
    """Findings with the digest they are in: what reasons rest on, then the worst, then the exploited."""
    cited = {found for image in verdict.images for reason in image.reasons for found in reason.findings}

    def weight(entry: tuple[str, MergedFinding]) -> tuple[bool, int, bool, float, str]:
        finding = entry[1].finding
        likely = finding.epss.score if finding.epss else 0.0
        return finding.id not in cited, -finding.severity.rank, finding.kev is None, -likely, finding.id

    found = [(report.digest, merged) for _, report in reports.values() if report for merged in report.findings]
    return sorted(found, key=weight)


def _gaps(reports: _Reports) -> list[tuple[str, str, CoverageItem]]:
    return [
        (report.digest, scanner, gap)
        for _, report in reports.values()
        if report
        for scanner, coverage in report.coverage.items()
        for gap in coverage.gaps
    ]


def _reasons(verdict: Verdict) -> list[tuple[str | None, Reason]]:
    """Each reason once, with the container it is about: those that made the verdict first."""
    of_images = [(image.container, reason) for image in verdict.images for reason in image.reasons]
    known = [reason for _, reason in of_images]
    of_all = [(None, reason) for reason in verdict.reasons if reason not in known]
    return sorted([*of_all, *of_images], key=lambda entry: entry[1].outcome is not verdict.outcome)


def _counts(image: ImageVerdict, report: MergedReport | None) -> Mapping[Severity, int]:
    return image.counts if report is None else count_severities(merged.finding for merged in report.findings)


def _fixable(image: ImageVerdict, report: MergedReport | None) -> int:
    return image.fixable if report is None else sum(merged.finding.is_fixable for merged in report.findings)


def _finite(value: Any) -> Any:  # noqa: ANN401  # any JSON value
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
