"""Plumbline's words into scanguard's. Lost: nothing that is used; ratings keep their own spelling in ``vendor``."""

from scanguard import Coverage, CoverageItem, CoverageStatus, Cvss, Finding, Package, ScannerInfo, Severity

from scanguard_plumbline.report import Examined, Report, Vulnerability

_SEVERITIES = {
    "info": Severity.NEGLIGIBLE,
    "low": Severity.LOW,
    "medium": Severity.MEDIUM,
    "high": Severity.HIGH,
    "critical": Severity.CRITICAL,
}


def map_finding(found: Vulnerability) -> Finding:
    """One vulnerability; a rating nobody knows is UNKNOWN, never the lowest."""
    return Finding(
        id=found.id,
        aliases=found.aliases,
        package=Package(purl=found.purl, name=found.name, version=found.version, ecosystem=found.ecosystem),
        fixed_versions=found.fixed_in,
        severity=_SEVERITIES.get(found.rating, Severity.UNKNOWN),
        severity_source="plumbline",
        cvss=_cvss(found),
        title=found.title,
        vendor={"rating": found.rating},
    )


def map_coverage(report: Report) -> Coverage:
    """What was examined, and how far; an image in which nothing was examined is not covered."""
    return Coverage(items=tuple(_covered(part) for part in report.examined))


def map_info(report: Report) -> ScannerInfo:
    """Which version looked, with a database of which date."""
    return ScannerInfo(
        tool="plumbline", version=report.engine, database="plumbline", database_updated_at=report.database_updated_at
    )


def _covered(part: Examined) -> CoverageItem:
    status = CoverageStatus.COVERED if part.complete else CoverageStatus.PARTIAL
    if not part.packages and not part.complete:
        status = CoverageStatus.NOT_COVERED
    return CoverageItem(subject=part.subject, status=status, packages=part.packages, detail=part.note)


def _cvss(found: Vulnerability) -> tuple[Cvss, ...]:
    """The vector says its own version (``CVSS:3.1/…``); one that does not is left out."""
    name, _, version = found.vector.partition("/")[0].partition(":")
    if name != "CVSS" or not version:
        return ()
    return (Cvss(version=version, vector=found.vector, score=found.score, source="plumbline"),)
