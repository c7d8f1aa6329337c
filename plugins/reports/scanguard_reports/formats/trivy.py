"""Trivy's JSON, schema version 2 (aquasecurity/trivy, docs on reporting).

Lost: references beyond the first twenty, CWE ids, descriptions, causes of misconfigurations. Vendor advisories (DSA-…)
bundle several vulnerabilities: references, never aliases.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from scanguard.model.finding import ComplianceCheck, Cvss, Finding, Package, SecretFinding
from scanguard.model.report import CoverageItem, CoverageStatus
from scanguard_reports.formats.fields import (
    Foreign,
    Moment,
    Nullable,
    Score,
    Text,
    Texts,
    digests_in,
    layer_of,
    severity_of,
)
from scanguard_reports.parsed import Parsed

_OPEN = frozenset({"notice", "permissive", "unencumbered"})
_CLOSED = frozenset({"forbidden", "restricted"})


class Layer(Foreign):
    """A layer of the image."""

    digest: Text = Field(default="", alias="Digest")


class Identifier(Foreign):
    """What names a package."""

    purl: Text = Field(default="", alias="PURL")


class Rating(Foreign):
    """A rating of a vulnerability."""

    v3_vector: Text = Field(default="", alias="V3Vector")
    v3_score: Score = Field(default=None, alias="V3Score")
    v2_vector: Text = Field(default="", alias="V2Vector")
    v2_score: Score = Field(default=None, alias="V2Score")


class Vulnerability(Foreign):
    """A vulnerability."""

    id: str = Field(alias="VulnerabilityID", min_length=1)
    vendor_ids: Texts = Field(default=(), alias="VendorIDs")
    name: str = Field(alias="PkgName", min_length=1)
    path: Text = Field(default="", alias="PkgPath")
    identifier: Identifier = Field(default=Identifier(), alias="PkgIdentifier")
    version: Text = Field(default="", alias="InstalledVersion")
    fixed: Text = Field(default="", alias="FixedVersion")
    status: Text = Field(default="", alias="Status")
    layer: Layer = Field(default=Layer(), alias="Layer")
    severity: Text = Field(default="", alias="Severity")
    severity_source: Text = Field(default="", alias="SeveritySource")
    title: Text = Field(default="", alias="Title")
    url: Text = Field(default="", alias="PrimaryURL")
    cvss: Annotated[dict[str, Rating], Nullable] = Field(default={}, alias="CVSS")
    published: Moment = Field(default=None, alias="PublishedDate")
    modified: Moment = Field(default=None, alias="LastModifiedDate")


class Misconfiguration(Foreign):
    """A check of the configuration."""

    id: Text = Field(default="", alias="ID")
    title: Text = Field(default="", alias="Title")
    message: Text = Field(default="", alias="Message")
    severity: Text = Field(default="", alias="Severity")
    status: Text = Field(default="", alias="Status")


class Secret(Foreign):
    """A credential: where it is, not what it is."""

    rule: Text = Field(default="", alias="RuleID")
    title: Text = Field(default="", alias="Title")
    severity: Text = Field(default="", alias="Severity")
    line: int | None = Field(default=None, alias="StartLine")
    layer: Layer = Field(default=Layer(), alias="Layer")


class License(Foreign):
    """A licence of a package."""

    name: Text = Field(default="", alias="Name")
    category: Text = Field(default="", alias="Category")
    severity: Text = Field(default="", alias="Severity")
    package: Text = Field(default="", alias="PkgName")
    path: Text = Field(default="", alias="FilePath")


class Result(Foreign):
    """One result."""

    target: Text = Field(default="", alias="Target")
    kind: Text = Field(default="", alias="Class")
    type: Text = Field(default="", alias="Type")
    vulnerabilities: Annotated[tuple[Vulnerability, ...], Nullable] = Field(default=(), alias="Vulnerabilities")
    misconfigurations: Annotated[tuple[Misconfiguration, ...], Nullable] = Field(default=(), alias="Misconfigurations")
    secrets: Annotated[tuple[Secret, ...], Nullable] = Field(default=(), alias="Secrets")
    licenses: Annotated[tuple[License, ...], Nullable] = Field(default=(), alias="Licenses")


class System(Foreign):
    """The operating system."""

    family: Text = Field(default="", alias="Family")
    name: Text = Field(default="", alias="Name")
    is_ended: bool = Field(default=False, alias="EOSL")


class Metadata(Foreign):
    """What the document, or the report, is about."""

    system: System | None = Field(default=None, alias="OS")
    image_id: Text = Field(default="", alias="ImageID")
    repo_digests: Texts = Field(default=(), alias="RepoDigests")


class Tool(Foreign):
    """The tool."""

    version: Text = Field(default="", alias="Version")


class Report(Foreign):
    """The whole report."""

    schema_version: Literal[2] = Field(alias="SchemaVersion")
    tool: Tool = Field(default=Tool(), alias="Trivy")
    created: Moment = Field(default=None, alias="CreatedAt")
    artifact: Text = Field(default="", alias="ArtifactName")
    metadata: Metadata = Field(default=Metadata(), alias="Metadata")
    results: Annotated[tuple[Result, ...], Nullable] = Field(default=(), alias="Results")


def recognises(document: Any) -> bool:  # noqa: ANN401  # any JSON
    """A Trivy report says its schema and its artifact."""
    return isinstance(document, dict) and "SchemaVersion" in document and "ArtifactName" in document


def read(document: Any) -> Parsed:  # noqa: ANN401  # any JSON
    """Read it; pydantic's ValidationError when it does not fit."""
    report = Report.model_validate(document)
    metadata = report.metadata
    return Parsed(
        tool="trivy",
        version=report.tool.version,
        created_at=report.created,
        names=digests_in([metadata.image_id, *metadata.repo_digests, report.artifact]),
        findings=tuple(_finding(one) for result in report.results for one in result.vulnerabilities),
        checks=tuple(check for result in report.results for check in _checks(result)),
        secrets=tuple(
            SecretFinding(
                rule=one.rule,
                title=one.title,
                severity=severity_of(one.severity),
                path=result.target,
                line=one.line,
                layer=layer_of(one.layer.digest),
            )
            for result in report.results
            for one in result.secrets
        ),
        coverage=tuple(_coverage(report)),
    )


def _finding(one: Vulnerability) -> Finding:
    return Finding(
        id=one.id,
        package=Package(
            purl=one.identifier.purl,
            name=one.name,
            version=one.version,
            ecosystem="",
            path=one.path or None,
            layer=layer_of(one.layer.digest),
        ),
        fixed_versions=tuple(version.strip() for version in one.fixed.split(",") if version.strip()),
        severity=severity_of(one.severity),
        severity_source=one.severity_source,
        cvss=tuple(_ratings(one)),
        title=one.title,
        references=tuple(name for name in (one.url, *one.vendor_ids) if name),
        published=one.published,
        modified=one.modified,
        vendor={"status": one.status} if one.status else {},
    )


def _ratings(one: Vulnerability) -> Iterator[Cvss]:
    for source, rating in sorted(one.cvss.items()):
        if rating.v3_vector:
            version = rating.v3_vector.removeprefix("CVSS:").partition("/")[0]
            yield Cvss(version=version, vector=rating.v3_vector, score=rating.v3_score, source=source)
        if rating.v2_vector:
            yield Cvss(version="2.0", vector=rating.v2_vector, score=rating.v2_score, source=source)


def _checks(result: Result) -> Iterator[ComplianceCheck]:
    for one in result.misconfigurations:
        passed = {"PASS": True, "FAIL": False}.get(one.status.upper())
        yield ComplianceCheck(
            id=one.id, title=one.title, passed=passed, severity=severity_of(one.severity), detail=one.message
        )
    for licence in result.licenses:
        category = licence.category.lower()
        yield ComplianceCheck(
            id=f"license:{licence.name}:{licence.package or licence.path}",
            title=f"{licence.name} ({category or 'unknown'})",
            passed=True if category in _OPEN else False if category in _CLOSED else None,
            severity=severity_of(licence.severity),
        )


def _coverage(report: Report) -> Iterator[CoverageItem]:
    system = report.metadata.system
    looked = {result.kind for result in report.results}
    if system is not None:
        name = f"{system.family} {system.name}".strip()
        if "os-pkgs" not in looked:
            yield CoverageItem(subject=name, status=CoverageStatus.NOT_COVERED, detail="Trivy lists no packages of it")
        elif system.is_ended:
            ended = "its support has ended: there are no more advisories"
            yield CoverageItem(subject=name, status=CoverageStatus.PARTIAL, detail=ended)
        else:
            yield CoverageItem(subject=name, status=CoverageStatus.COVERED)
    for kind in sorted({result.type or result.kind for result in report.results if result.kind == "lang-pkgs"}):
        yield CoverageItem(subject=kind, status=CoverageStatus.COVERED)
    if system is None and not looked & {"os-pkgs", "lang-pkgs"}:
        nothing = "Trivy recognised no packages"
        yield CoverageItem(subject="packages", status=CoverageStatus.NOT_COVERED, detail=nothing)
