"""What merging costs: three reports of 10,000 findings each, against reading those three reports from JSON."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from scanguard.engine.merge import merge
from scanguard.model.finding import Cvss, Finding, Package
from scanguard.model.image import Platform
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport
from scanguard.model.severity import Severity

DIGEST = "sha256:" + "d" * 64
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("one", "two", "three")


def report(findings: int, offset: int) -> ScanReport:
    """A scanner's report: four findings a package, two thirds of them known to the others under some id."""
    return ScanReport(
        digest=DIGEST,
        platform=Platform(),
        scanner=ScannerInfo(tool="bench", version="1"),
        started_at=NOW,
        finished_at=NOW,
        findings=tuple(_finding(number) for number in range(offset, offset + findings)),
        coverage=Coverage(items=(CoverageItem(subject="Debian:12", status=CoverageStatus.COVERED),)),
    )


def _finding(number: int) -> Finding:
    package = number // 4
    return Finding(
        id=f"CVE-2024-{number}" if number % 3 else f"GHSA-{number}",
        aliases=() if number % 3 else (f"CVE-2024-{number}",),
        package=Package(
            purl=f"pkg:deb/debian/package-{package}@1.{package}-1?arch=amd64",
            name=f"package-{package}",
            version=f"1.{package}-1",
            ecosystem="Debian:12",
            source_name=f"source-{package // 2}",
        ),
        fixed_versions=(f"1.{package}-2",),
        severity=list(Severity)[number % 6],
        cvss=(Cvss(version="3.1", vector="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", score=9.8),),
        title="A title of the usual length, more or less",
        references=("https://example.invalid/advisory", "https://example.invalid/commit"),
        published=NOW,
        modified=NOW,
    )


def measure(findings: int = 10_000, times: int = 3) -> tuple[float, float, int]:
    """Seconds to read the reports, seconds to merge them (the best of some), and findings that are left."""
    stored = {name: report(findings, findings * index // 3).model_dump_json() for index, name in enumerate(NAMES)}
    read = merged = float("inf")
    left = 0
    for _ in range(times):
        begun = time.perf_counter()
        reports = {name: ScanReport.model_validate_json(text) for name, text in stored.items()}
        read = min(read, time.perf_counter() - begun)
        begun = time.perf_counter()
        left = len(merge(DIGEST, reports).findings)
        merged = min(merged, time.perf_counter() - begun)
    return read, merged, left
