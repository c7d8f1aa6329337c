"""What a report says, whatever its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import JsonValue

from scanguard.model.finding import ComplianceCheck, Finding, SecretFinding
from scanguard.model.report import CoverageItem


@dataclass(frozen=True)
class Parsed:
    """One report.

    ``names`` are the digests it names for its image: of a manifest, an index or a config.
    """

    tool: str
    version: str = ""
    created_at: datetime | None = None
    database_at: datetime | None = None
    names: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    checks: tuple[ComplianceCheck, ...] = ()
    secrets: tuple[SecretFinding, ...] = ()
    coverage: tuple[CoverageItem, ...] = ()
    vendor: Mapping[str, JsonValue] = field(default_factory=dict)
