"""Who says what, where several scanners looked at one image."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from scanguard.model.merged import MergedFinding, MergedReport
from scanguard.model.severity import Severity
from scanguard.render.document import Block, Column, Line, Span, Table, joined, severity_span
from scanguard.render.findings import best_known_id, by_severity_and_package
from scanguard.render.phrases import WORST_FIRST


def agreement_table(report: MergedReport | None, *, indent: int = 0) -> Table | None:
    """How many findings all scanners agree on, and how many only some report; None unless several looked."""
    looked = sorted(report.coverage) if report else []
    if report is None or len(looked) < 2 or not report.findings:
        return None
    by_whom: dict[tuple[str, ...], Counter[Severity]] = defaultdict(Counter)
    for item in report.findings:
        by_whom[item.found_by][item.finding.severity] += 1
    present = [severity for severity in WORST_FIRST if any(counts[severity] for counts in by_whom.values())]
    rows = [
        (Span(_who(group, looked)), Span(f"{sum(counts.values()):,}"), *(_amount(counts, one) for one in present))
        for group, counts in sorted(by_whom.items(), key=lambda pair: (-len(pair[0]), pair[0]))
    ]
    columns = (
        Column("REPORTED BY", weight=1),
        Column("FINDINGS", right=True),
        *(Column(severity.value, right=True) for severity in present),
    )
    return Table(columns, tuple(rows), indent)


def differing_lines(findings: Sequence[MergedFinding], *, limit: int, indent: int = 0) -> list[Block]:
    """What each scanner says of findings whose severity they see differently, worst first."""
    differing = [item for item in by_severity_and_package(findings) if len(severities(item)) > 1]
    lines: list[Block] = []
    for item in differing[:limit]:
        stated = joined(
            (
                severity_span(severity, f"{severity.value.lower()} ({', '.join(who)})")
                for severity, who in severities(item).items()
            ),
            ", ",
        )
        name = Span(f"{best_known_id(item.finding)} in {item.finding.package.name}", "strong")
        lines.append(Line((name, Span(": "), *stated, Span(f"; {item.severity_by} counts", "muted")), indent))
    if len(differing) > limit:
        lines.append(
            Line.of(Span(f"… {len(differing) - limit:,} more that are rated differently", "muted"), indent=indent)
        )
    return lines


def severities(item: MergedFinding) -> dict[Severity, list[str]]:
    """Which severities are stated of a finding, worst first, and by whom."""
    stated: dict[Severity, list[str]] = {}
    for one in sorted(item.statements, key=lambda said: (-said.finding.severity.rank, said.scanner)):
        who = stated.setdefault(one.finding.severity, [])
        if one.scanner not in who:
            who.append(one.scanner)
    return stated


def _who(group: tuple[str, ...], looked: Sequence[str]) -> str:
    if len(group) == 1:
        return f"only {group[0]}"
    if len(group) == len(looked):
        return "both" if len(group) == 2 else f"all {len(group)}"
    return " and ".join((", ".join(group[:-1]), group[-1]))


def _amount(counts: Counter[Severity], severity: Severity) -> Span:
    return severity_span(severity, f"{counts[severity]:,}") if counts[severity] else Span("0", "muted")
