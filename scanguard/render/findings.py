"""The table of findings: by severity, then package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scanguard.model.finding import Finding
from scanguard.model.merged import MergedFinding
from scanguard.render.document import Column, Line, Span, Table, severity_span

_WIDE = 110
_COLUMNS = (
    Column("SEVERITY"),
    Column("PACKAGE", weight=1),
    Column("INSTALLED", weight=2),
    Column("FIXED IN", weight=2),
    Column("VULNERABILITY"),
    Column("FOUND BY", weight=3, needs=_WIDE),
    Column("TITLE", weight=9, needs=_WIDE),
)


def by_severity_and_package(findings: Iterable[MergedFinding]) -> list[MergedFinding]:
    """Worst severity first; within one, known exploited ones, then by package and id."""
    return sorted(
        findings,
        key=lambda merged: (
            -merged.finding.severity.rank,
            merged.finding.kev is None,
            merged.finding.package.name,
            merged.finding.package.version,
            merged.finding.id,
        ),
    )


def findings_table(
    findings: Sequence[MergedFinding], *, limit: int, indent: int = 0, hint: str = "--limit 0 shows all"
) -> tuple[Table | Line, ...]:
    """The table, its first ``limit`` rows (0: all), and a line that says how many are not shown, and ``hint``."""
    ordered = by_severity_and_package(findings)
    shown = ordered[:limit] if limit else ordered
    rows = tuple(_row(merged) for merged in shown)
    table = Table(_COLUMNS, rows, indent)
    hidden = len(ordered) - len(shown)
    if not hidden:
        return (table,)
    note = Span(f"… {hidden:,} more, none of them more severe; {hint}", "muted")
    return (table, Line((note,), indent))


def _row(merged: MergedFinding) -> tuple[Span, ...]:
    finding = merged.finding
    return (
        severity_span(finding.severity),
        Span(finding.package.name, "strong"),
        Span(finding.package.version),
        Span(", ".join(finding.fixed_versions), "good") if finding.is_fixable else Span("no fix known", "muted"),
        Span(f"{best_known_id(finding)}{_note(finding)}", "dire" if finding.kev else ""),
        Span(", ".join(merged.found_by), "muted"),
        Span(finding.title, "muted"),
    )


def _note(finding: Finding) -> str:
    notes = ((finding.kev, "exploited"), (finding.exempted, "excepted"), (finding.informational, "information"))
    return "".join(f" {note}" for applies, note in notes if applies)


def best_known_id(finding: Finding) -> str:
    """The id people search for: the CVE where there is one, else the advisory's own."""
    if finding.id.startswith("CVE-"):
        return finding.id
    return next((alias for alias in sorted(finding.aliases) if alias.startswith("CVE-")), finding.id)
