"""Grype's JSON (anchore/grype, its presenter's models).

A report lists matches only: what was looked at without a match it does not say. Lost: match details, CPEs, licences. A
GHSA with exactly one related CVE is an alias of it; with several they are references.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from scanguard.model.finding import Cvss, Finding, Package
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


class Metrics(Foreign):
    """The numbers of a rating."""

    score: Score = Field(default=None, alias="baseScore")


class Rating(Foreign):
    """A rating of a vulnerability."""

    version: Text = ""
    vector: Text = ""
    source: Text = ""
    metrics: Metrics = Metrics()


class Fix(Foreign):
    """The versions without it."""

    versions: Texts = ()
    state: Text = ""


class Vulnerability(Foreign):
    """A vulnerability."""

    id: str = Field(min_length=1)
    url: Text = Field(default="", alias="dataSource")
    namespace: Text = ""
    severity: Text = ""
    cvss: Annotated[tuple[Rating, ...], Nullable] = ()
    fix: Fix = Fix()


class Related(Foreign):
    """Another id that is related."""

    id: Text = ""


class Location(Foreign):
    """A place."""

    path: Text = ""
    layer: Text = Field(default="", alias="layerID")


class Upstream(Foreign):
    """The package it was built from."""

    name: Text = ""
    version: Text = ""


class Artifact(Foreign):
    """What it was found in."""

    name: str = Field(min_length=1)
    version: Text = ""
    type: Text = ""
    purl: Text = ""
    locations: Annotated[tuple[Location, ...], Nullable] = ()
    upstreams: Annotated[tuple[Upstream, ...], Nullable] = ()


class Match(Foreign):
    """A vulnerability in a package."""

    vulnerability: Vulnerability
    related: Annotated[tuple[Related, ...], Nullable] = Field(default=(), alias="relatedVulnerabilities")
    artifact: Artifact


class Target(Foreign):
    """The image."""

    image_id: Text = Field(default="", alias="imageID")
    manifest: Text = Field(default="", alias="manifestDigest")
    repo_digests: Texts = Field(default=(), alias="repoDigests")


class Source(Foreign):
    """Where something comes from."""

    type: Text = ""
    target: Target | str | None = None


class Distro(Foreign):
    """The operating system."""

    name: Text = ""
    version: Text = ""


class Database(Foreign):
    """The vulnerability database."""

    built: Moment = None
    status: dict[str, Any] | None = None

    @property
    def date(self) -> Any:  # noqa: ANN401  # a datetime or None
        """When it was built; newer reports tell it under ``status``."""
        return self.built or Database(built=(self.status or {}).get("built")).built


class Descriptor(Foreign):
    """Who made the report, when, with what."""

    name: Text = "grype"
    version: Text = ""
    timestamp: Moment = None
    database: Database | None = Field(default=None, alias="db")


class Report(Foreign):
    """The whole report."""

    matches: tuple[Match, ...]
    source: Source | None = None
    distro: Distro | None = None
    descriptor: Descriptor = Descriptor()


def recognises(document: Any) -> bool:  # noqa: ANN401  # any JSON
    """A Grype report has matches and says who made it."""
    return isinstance(document, dict) and isinstance(document.get("matches"), list) and "descriptor" in document


def read(document: Any) -> Parsed:  # noqa: ANN401  # any JSON
    """Read it; pydantic's ValidationError when it does not fit."""
    report = Report.model_validate(document)
    target = report.source.target if report.source else None
    names = [target.image_id, target.manifest, *target.repo_digests] if isinstance(target, Target) else []
    database = report.descriptor.database
    return Parsed(
        tool=report.descriptor.name or "grype",
        version=report.descriptor.version,
        created_at=report.descriptor.timestamp,
        database_at=database.date if database else None,
        names=digests_in(names),
        findings=tuple(_finding(match) for match in report.matches),
        coverage=tuple(_coverage(report)),
    )


def _finding(match: Match) -> Finding:
    one, artifact = match.vulnerability, match.artifact
    others = tuple(dict.fromkeys(each.id for each in match.related if each.id and each.id != one.id))
    same = others if len(others) == 1 else ()
    where = artifact.locations[0] if artifact.locations else Location()
    upstream = artifact.upstreams[0] if artifact.upstreams else Upstream()
    return Finding(
        id=one.id,
        aliases=same,
        package=Package(
            purl=artifact.purl,
            name=artifact.name,
            version=artifact.version,
            ecosystem=artifact.type,
            source_name=upstream.name or None,
            source_version=upstream.version or None,
            path=where.path or None,
            layer=layer_of(where.layer),
        ),
        fixed_versions=tuple(version for version in one.fix.versions if version),
        severity=severity_of(one.severity),
        severity_source=one.namespace,
        cvss=tuple(
            Cvss(version=rating.version, vector=rating.vector, score=rating.metrics.score, source=rating.source)
            for rating in one.cvss
        ),
        references=tuple(name for name in (one.url, *(() if same else others)) if name),
        vendor={"fix_state": one.fix.state} if one.fix.state else {},
    )


def _coverage(report: Report) -> Iterator[CoverageItem]:
    if report.distro is not None and report.distro.name:
        name = f"{report.distro.name} {report.distro.version}".strip()
        yield CoverageItem(subject=name, status=CoverageStatus.COVERED)
    if report.source is None or report.source.type in ("", "unknown"):
        nothing = "the report does not say what was looked at"
        yield CoverageItem(subject="packages", status=CoverageStatus.NOT_COVERED, detail=nothing)
    else:
        told = "a Grype report lists matches only; packages without one it does not name"
        yield CoverageItem(subject="what Grype catalogued", status=CoverageStatus.COVERED, detail=told)
