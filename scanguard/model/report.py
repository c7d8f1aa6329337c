"""What one scanner says of one image, and how far it looked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Literal

from pydantic import JsonValue

from scanguard.model.base import SCHEMA_VERSION, Digest, Instant, Model
from scanguard.model.finding import ComplianceCheck, Finding, SecretFinding
from scanguard.model.image import Platform
from scanguard.model.severity import Severity


class ScannerInfo(Model):
    """Which tool looked, in which version, with a database of which date."""

    tool: str
    version: str
    database_updated_at: Instant | None = None
    database: str = ""
    """What the database is, such as ``osv.dev`` or ``imported snapshot``."""


class CoverageStatus(StrEnum):
    """How far a scanner looked at one part of an image."""

    COVERED = "covered"
    PARTIAL = "partial"
    NOT_COVERED = "not_covered"


class CoverageItem(Model):
    """One part of an image: ``subject`` such as ``Debian:12``, ``PyPI`` or ``Go binaries``."""

    subject: str
    status: CoverageStatus
    packages: int | None = None
    detail: str = ""


class Coverage(Model):
    """How far a scanner looked; an image with no recognised part is not covered either."""

    items: tuple[CoverageItem, ...]

    @property
    def gaps(self) -> tuple[CoverageItem, ...]:
        """The parts that were not, or not wholly, looked at."""
        return tuple(item for item in self.items if item.status is not CoverageStatus.COVERED)

    @property
    def is_complete(self) -> bool:
        """True when something was looked at and nothing was left out."""
        return bool(self.items) and not self.gaps


class ScanReport(Model):
    """One scanner's answer about one image.

    ``digest`` is the platform manifest the scanner looked at; the engine refuses a report about another one.
    ``confirmed`` is False where the service cannot say which digest it looked at.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    digest: Digest
    platform: Platform
    scanner: ScannerInfo
    started_at: Instant
    finished_at: Instant
    findings: tuple[Finding, ...] = ()
    compliance: tuple[ComplianceCheck, ...] = ()
    secrets: tuple[SecretFinding, ...] = ()
    coverage: Coverage
    confirmed: bool = True
    vendor: Mapping[str, JsonValue] = {}


def count_severities(findings: Iterable[Finding]) -> dict[Severity, int]:
    """Count findings by severity, every severity present, worst first."""
    counts = Counter(finding.severity for finding in findings)
    return {severity: counts[severity] for severity in sorted(Severity, key=lambda s: -s.rank)}
