"""Small phrases that several renderers share: what an image resolved to, who looked, what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from scanguard.model.image import ResolvedImage
from scanguard.model.merged import MergedReport
from scanguard.model.report import CoverageItem, CoverageStatus, ScannerInfo
from scanguard.model.severity import Severity
from scanguard.model.verdict import ImageVerdict, ScannerOutcome, ScannerStatus
from scanguard.render.document import Column, Line, Span, Table, joined, severity_span
from scanguard.render.text import ago, count, listing, short_digest

WORST_FIRST = tuple(sorted(Severity, key=lambda severity: -severity.rank))


def resolved_line(image: ResolvedImage) -> Line:
    """``linux/amd64 · registry/repository · sha256:…``."""
    where = image.repository.removesuffix(f"@{image.digest}")
    return Line(joined((Span(str(image.platform)), Span(where), Span(short_digest(image.digest))), " · "), indent=2)


def counts_line(image: ImageVerdict) -> Line:
    """``3 critical, 41 high …; 51 of 76 have a fix``, or that nothing was found, said as such."""
    total = sum(image.counts.values())
    if not total:
        return Line.of("No vulnerability found." if has_looked(image) else Span("Nobody looked.", "odd"))
    present = [severity for severity in WORST_FIRST if image.counts.get(severity)]
    spans = joined(severity_span(severity, _counted(severity, image.counts)) for severity in present)
    return Line((Span(f"{count(total, 'finding')}: "), *spans, Span(f"; {image.fixable:,} can be fixed")))


def other_lines(report: MergedReport | None, *, indent: int = 0) -> list[Line]:
    """Credentials and failed compliance checks, a line each, where there are any."""
    lines = []
    if report and report.secrets:
        places = [f"{one.rule} in {one.path}" + (f":{one.line}" if one.line else "") for one in report.secrets]
        told = f"{count(len(places), 'credential')} left in the image: {listing(places)}"
        lines.append(Line.of(Span(told, "bad"), indent=indent))
    failed = [check for check in report.compliance if check.passed is False] if report else []
    if report and report.compliance:
        names = f": {listing([check.title or check.id for check in failed])}" if failed else ""
        total = len(report.compliance)
        told = f"{count(len(failed), 'check')} of {total:,} failed{names}"
        lines.append(Line.of(Span(told, "notice" if failed else ""), indent=indent))
    return lines


def _counted(severity: Severity, counts: Mapping[Severity, int]) -> str:
    name = "of unknown severity" if severity is Severity.UNKNOWN else severity.value.lower()
    return f"{counts[severity]:,} {name}"


def has_looked(image: ImageVerdict) -> bool:
    """Whether at least one scanner finished with this image."""
    return any(scanner.status is ScannerStatus.DONE for scanner in image.scanners)


def scanner_line(scanner: ScannerOutcome, now: datetime) -> Line:
    """What became of one scanner, in a phrase."""
    if scanner.status is ScannerStatus.FAILED:
        spared = "" if scanner.needed else " (not needed: another scanner stands in)"
        return Line.of(Span("failed", "bad"), f"{spared}: {scanner.error or 'no reason given'}")
    if scanner.status is ScannerStatus.PENDING:
        return Line.of(Span("not finished yet", "notice"))
    parts = [Span(count(scanner.findings, "finding"))]
    if scanner.scanned_at:
        parts.append(Span(f"scanned {ago(scanner.scanned_at, now)}"))
    if scanner.info:
        parts.append(Span(_tool(scanner.info)))
        parts.append(database_span(scanner.info, now))
    return Line(joined((part for part in parts if part.text), ", "))


def _tool(info: ScannerInfo) -> str:
    return f"{info.tool} {info.version}".strip()


def database_span(info: ScannerInfo, now: datetime) -> Span:
    """Which database, of which date; that the date is not known is said too."""
    name = info.database or "database"
    if info.database_updated_at is None:
        return Span(f"{name}, age not told", "muted")
    return Span(f"{name} of {info.database_updated_at:%Y-%m-%d} ({ago(info.database_updated_at, now)})")


def gaps_of(report: MergedReport | None) -> list[tuple[str, CoverageItem]]:
    """Every coverage gap with the scanner instance that has it; worst first, then by subject."""
    if report is None:
        return []
    found = [(instance, gap) for instance, coverage in report.coverage.items() for gap in coverage.gaps]
    return sorted(found, key=lambda pair: (pair[1].status is not CoverageStatus.NOT_COVERED, pair[1].subject, pair[0]))


def empty_coverage(report: MergedReport | None) -> list[str]:
    """Scanner instances that recognised nothing in the image at all."""
    return [instance for instance, coverage in report.coverage.items() if not coverage.items] if report else []


def gaps_table(report: MergedReport | None, *, indent: int = 0) -> Table | None:
    """The gaps as a table; None when everything was looked at."""
    rows = [
        (Span(gap.subject, "odd"), Span(_status(gap)), Span(instance), Span(gap.detail, "muted"))
        for instance, gap in gaps_of(report)
    ]
    rows += [
        (Span("the whole image", "odd"), Span("not covered"), Span(instance), Span("nothing in it was recognised"))
        for instance in empty_coverage(report)
    ]
    if not rows:
        return None
    columns = (
        Column("NOT LOOKED AT", weight=1),
        Column("HOW FAR"),
        Column("SCANNER", needs=100),
        Column("WHY", weight=2, wraps=True),
    )
    return Table(columns, tuple(rows), indent)


def _status(gap: CoverageItem) -> str:
    seen = "" if gap.packages is None else f" ({count(gap.packages, 'package')})"
    return ("not covered" if gap.status is CoverageStatus.NOT_COVERED else "partly") + seen
