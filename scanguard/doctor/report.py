"""The examination for people, grouped by area, and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import groupby
from typing import Final

from pydantic import JsonValue

from scanguard.doctor.check import Check, Status
from scanguard.doctor.examination import Examination
from scanguard.render.document import BLANK, Block, Document, Entries, Line, Span, Style, heading
from scanguard.render.json_text import to_json

DOCTOR_SCHEMA_VERSION: Final = 1
"""Grows when a key changes its meaning or goes; new keys, areas and subjects may come at any time."""
_STYLES: Final[dict[Status, Style]] = {
    Status.OK: "good",
    Status.WARN: "notice",
    Status.FAIL: "bad",
    Status.SKIPPED: "muted",
}
_WORDS: Final = {Status.OK: "ok", Status.WARN: "WARN", Status.FAIL: "FAIL", Status.SKIPPED: "skip"}


def examination_document(examination: Examination) -> Document:
    """An area after the other, the remedy under each trouble, and the count at the end."""
    blocks: list[Block] = []
    for area, checks in groupby(examination.checks, key=lambda check: check.area):
        blocks += [heading(area), Entries(tuple(row for check in checks for row in _rows(check)), indent=2), BLANK]
    return (*blocks, _total(examination.checks))


def _rows(check: Check) -> list[tuple[Span, Line]]:
    style: Style = "muted" if check.status is Status.SKIPPED else ""
    word = Span(_WORDS[check.status], _STYLES[check.status])
    rows = [(word, Line.of(Span(check.subject, "strong"), Span(f": {check.detail}", style)))]
    if check.remedy:
        rows.append((Span(""), Line.of(Span("→ ", "muted"), check.remedy)))
    return rows


def _total(checks: Sequence[Check]) -> Line:
    counts = Counter(check.status for check in checks)
    parts: list[str | Span] = []
    for status, word in (
        (Status.FAIL, "failed"),
        (Status.WARN, "warned"),
        (Status.OK, "ok"),
        (Status.SKIPPED, "skipped"),
    ):
        style = _STYLES[status] if counts[status] else "muted"
        parts += [Span(", ", "muted")] if parts else []
        parts.append(Span(f"{counts[status]} {word}", style))
    return Line.of(*parts)


def examination_json(examination: Examination, *, version: str, now: datetime) -> str:
    """``{"schema_version": 1, "version": …, "time": …, "status": …, "counts": {…}, "checks": […]}``."""
    counts = Counter(check.status.value for check in examination.checks)
    checks: list[JsonValue] = [asdict(check) for check in examination.checks]
    return to_json(
        {
            "schema_version": DOCTOR_SCHEMA_VERSION,
            "version": version,
            "time": now.isoformat(),
            "status": examination.status.value,
            "counts": {status.value: counts[status.value] for status in Status},
            "checks": checks,
        }
    )
