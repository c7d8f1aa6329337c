"""A scan report from what Qualys says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from pydantic import JsonValue

from scanguard.model.image import ResolvedImage
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport
from scanguard_qualys.detection import Control, Detection
from scanguard_qualys.mapping import to_checks, to_findings

CLOUD = "Qualys Container Security"
CSAPI = "csapi v1.3"


def cloud_report(
    image: ResolvedImage,
    detections: Iterable[Detection],
    controls: Iterable[Control],
    *,
    started_at: datetime,
    finished_at: datetime,
    operating_system: str,
    confirmed: bool,
    data_of: datetime | None = None,
    vendor: Mapping[str, JsonValue] | None = None,
) -> ScanReport:
    """The report of a cloud scan. Where Qualys names no operating system, nobody can say what was looked at."""
    return ScanReport(
        digest=image.digest,
        platform=image.platform,
        scanner=ScannerInfo(tool=CLOUD, version=CSAPI, database="Qualys KnowledgeBase", database_updated_at=data_of),
        started_at=min(started_at, finished_at),
        finished_at=finished_at,
        findings=to_findings(detections),
        compliance=to_checks(controls),
        coverage=Coverage(items=(_coverage(operating_system),)),
        confirmed=confirmed,
        vendor=dict(vendor or {}),
    )


def _coverage(operating_system: str) -> CoverageItem:
    if operating_system:
        return CoverageItem(subject=operating_system, status=CoverageStatus.COVERED)
    return CoverageItem(
        subject="operating system",
        status=CoverageStatus.NOT_COVERED,
        detail="Qualys recognised no operating system in the image",
    )
