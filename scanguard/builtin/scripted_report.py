"""The report that a script makes of an image."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from scanguard.builtin.scripted_config import ScriptedConfig, ScriptedFinding
from scanguard.model.finding import Finding, Package
from scanguard.model.image import Platform
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport
from scanguard.model.severity import Severity

_SEVERITIES: Final = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW)
ECOSYSTEM: Final = "generic"


def scripted_report(
    config: ScriptedConfig, info: ScannerInfo, digest: str, platform: Platform, times: tuple[datetime, datetime]
) -> ScanReport:
    """What the configuration says of any image; ``times`` are when the scan began and ended."""
    findings = tuple(_finding(one) for one in scripted_findings(config))
    return ScanReport(
        digest=digest,
        platform=platform,
        scanner=info,
        started_at=times[0],
        finished_at=times[1],
        findings=findings,
        coverage=_coverage(config, len({finding.package.purl for finding in findings})),
    )


def scripted_findings(config: ScriptedConfig) -> tuple[ScriptedFinding, ...]:
    """The list as it is written; of a mere number, that many, from critical to low and again."""
    if not isinstance(config.findings, int):
        return config.findings
    return tuple(
        ScriptedFinding(
            id=f"SCRIPTED-{number + 1:04}",
            severity=_SEVERITIES[number % len(_SEVERITIES)],
            package=f"scripted-{number + 1:04}@1.0",
        )
        for number in range(config.findings)
    )


def _finding(written: ScriptedFinding) -> Finding:
    from packageurl import PackageURL  # noqa: PLC0415  # only where a scan is scripted

    name, _, version = written.package.partition("@")
    purl = PackageURL(type=ECOSYSTEM, name=name or written.package, version=version or None).to_string()
    package = Package(purl=purl, name=name or written.package, version=version, ecosystem=ECOSYSTEM)
    return Finding(id=written.id, package=package, severity=written.severity, severity_source="script")


def _coverage(config: ScriptedConfig, packages: int) -> Coverage:
    looked = CoverageItem(subject="script", status=CoverageStatus.COVERED, packages=packages)
    if config.coverage == "complete":
        return Coverage(items=(looked,))
    gap = CoverageItem(subject="left out", status=CoverageStatus.NOT_COVERED, detail="the script leaves a gap")
    return Coverage(items=(looked, gap))
