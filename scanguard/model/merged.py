"""What several scanners say of one image, joined: each vulnerability of a package once, with who says what of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from scanguard.model.base import SCHEMA_VERSION, Model
from scanguard.model.finding import ComplianceCheck, Finding, Package, SecretFinding
from scanguard.model.report import Coverage


class Said(Model):
    """A finding, as one scanner instance reports it."""

    scanner: str
    finding: Finding


class MergedFinding(Model):
    """One vulnerability of one package.

    ``finding`` is all that is known of it. ``said`` has each statement, where there are several; ``severity_by`` is
    the scanner instance whose severity was chosen of them.
    """

    finding: Finding
    found_by: tuple[str, ...] = Field(min_length=1)
    """The scanner instances that report it, by name."""
    severity_by: str = ""
    said: tuple[Said, ...] = ()

    @property
    def statements(self) -> tuple[Said, ...]:
        """What each scanner says, one statement for each package and place."""
        return self.said or tuple(Said.model_construct(scanner=one, finding=self.finding) for one in self.found_by)

    @property
    def packages(self) -> tuple[Package, ...]:
        """Every package and place it was reported for: binary packages of one source, copies in several paths."""
        return tuple(dict.fromkeys(one.finding.package for one in self.statements))


class MergedReport(Model):
    """Several scanners' reports on one digest as one; computed once per set of reports.

    ``confirmed`` says that at least one of them names the digest it looked at.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    digest: str
    findings: tuple[MergedFinding, ...] = ()
    compliance: tuple[ComplianceCheck, ...] = ()
    secrets: tuple[SecretFinding, ...] = ()
    coverage: Mapping[str, Coverage] = {}
    """By scanner instance."""
    confirmed: bool = True
