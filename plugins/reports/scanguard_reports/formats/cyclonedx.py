"""CycloneDX with vulnerabilities (VDR), JSON, specification 1.4 to 1.7.

A bill of materials without vulnerabilities is no scan and is refused. What somebody analysed as not affected, a false
positive or resolved stays, marked as exempted. ``references`` of a vulnerability are its equivalents elsewhere:
aliases.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import Field

from scanguard.model.finding import Cvss, Finding, Package
from scanguard.model.report import CoverageItem, CoverageStatus
from scanguard.model.severity import Severity
from scanguard_reports.formats.fields import Foreign, Moment, Nullable, Score, Text, digests_in, severity_of
from scanguard_reports.parsed import Parsed

_EXEMPT: Final = frozenset({"not_affected", "false_positive", "resolved", "resolved_with_pedigree"})
_METHODS: Final = {"CVSSv2": "2.0", "CVSSv3": "3.0", "CVSSv31": "3.1", "CVSSv4": "4.0"}


class Property(Foreign):
    """A name and a value."""

    name: Text = ""
    value: Text = ""


class Component(Foreign):
    """A component, with those inside it."""

    ref: Text = Field(default="", alias="bom-ref")
    group: Text = ""
    name: Text = ""
    version: Text = ""
    purl: Text = ""
    properties: Annotated[tuple[Property, ...], Nullable] = ()
    components: Annotated[tuple[Component, ...], Nullable] = ()


class Named(Foreign):
    """A tool."""

    name: Text = ""
    version: Text = ""


class Tools(Foreign):
    """The tools, as newer versions list them."""

    components: Annotated[tuple[Named, ...], Nullable] = ()


class Metadata(Foreign):
    """What the document, or the report, is about."""

    timestamp: Moment = None
    tools: Tools | tuple[Named, ...] | None = None
    component: Component | None = None


class Source(Foreign):
    """Where something comes from."""

    name: Text = ""
    url: Text = ""


class Reference(Foreign):
    """The same vulnerability elsewhere."""

    id: Text = ""


class Rating(Foreign):
    """A rating of a vulnerability."""

    source: Source | None = None
    score: Score = None
    severity: Text = ""
    method: Text = ""
    vector: Text = ""


class Advisory(Foreign):
    """An advisory."""

    url: Text = ""


class Analysis(Foreign):
    """What somebody found out about it."""

    state: Text = ""
    justification: Text = ""
    detail: Text = ""


class Affected(Foreign):
    """A component that has it."""

    ref: Text = ""


class Vulnerability(Foreign):
    """A vulnerability."""

    id: str = Field(min_length=1)
    source: Source | None = None
    references: Annotated[tuple[Reference, ...], Nullable] = ()
    ratings: Annotated[tuple[Rating, ...], Nullable] = ()
    advisories: Annotated[tuple[Advisory, ...], Nullable] = ()
    recommendation: Text = ""
    published: Moment = None
    updated: Moment = None
    analysis: Analysis | None = None
    affects: Annotated[tuple[Affected, ...], Nullable] = ()


class Bom(Foreign):
    """The document."""

    metadata: Metadata | None = None
    components: Annotated[tuple[Component, ...], Nullable] = ()
    vulnerabilities: tuple[Vulnerability, ...]


def recognises(document: Any) -> bool:  # noqa: ANN401  # any JSON
    """A bill of materials says that it is one."""
    return isinstance(document, dict) and document.get("bomFormat") == "CycloneDX"


def read(document: Any) -> Parsed:  # noqa: ANN401  # any JSON
    """Read it; pydantic's ValidationError when it does not fit."""
    bom = Bom.model_validate(document)
    metadata = bom.metadata or Metadata()
    subject = metadata.component or Component()
    known = {one.ref: one for one in _all((subject, *bom.components)) if one.ref}
    tools = metadata.tools.components if isinstance(metadata.tools, Tools) else metadata.tools or ()
    said = [
        subject.version,
        subject.purl,
        subject.name,
        *(one.value for one in subject.properties if "Diff" not in one.name),
    ]
    return Parsed(
        tool=(tools[0].name if tools else "") or "CycloneDX",
        version=tools[0].version if tools else "",
        created_at=metadata.timestamp,
        names=digests_in(said),
        findings=tuple(
            _finding(one, _package(affected.ref, known))
            for one in bom.vulnerabilities
            for affected in (one.affects or (Affected(),))
        ),
        coverage=tuple(_coverage(bom)),
    )


def _all(components: tuple[Component, ...]) -> Iterator[Component]:
    for component in components:
        yield component
        yield from _all(component.components)


def _package(ref: str, known: dict[str, Component]) -> Package:
    ref = ref.rpartition("#")[2] if ref.startswith("urn:cdx:") else ref
    found = known.get(ref)
    if found is None:
        name = ref.partition("?")[0].rpartition("@")[0].rpartition("/")[2] if ref.startswith("pkg:") else ref
        return Package(purl=ref if ref.startswith("pkg:") else "", name=name or "not named", version="", ecosystem="")
    path = next((one.value for one in found.properties if one.name.endswith(":path")), None)
    name = found.name or found.purl or "not named"
    return Package(purl=found.purl, name=name, version=found.version, ecosystem=found.group, path=path)


def _finding(one: Vulnerability, package: Package) -> Finding:
    analysis = one.analysis or Analysis()
    ratings = tuple(
        Cvss(
            version=_METHODS[rating.method],
            vector=rating.vector,
            score=rating.score,
            source=rating.source.name if rating.source else "",
        )
        for rating in one.ratings
        if rating.method in _METHODS and rating.vector
    )
    stated = [(severity_of(rating.severity), rating) for rating in one.ratings if rating.severity]
    severity, by = max(stated, key=lambda pair: pair[0].rank, default=(Severity.UNKNOWN, Rating()))
    vendor = {"state": analysis.state, "justification": analysis.justification, "detail": analysis.detail[:2000]}
    return Finding(
        id=one.id,
        aliases=tuple(dict.fromkeys(each.id for each in one.references if each.id and each.id != one.id)),
        package=package,
        severity=severity,
        severity_source=by.source.name if by.source else "",
        cvss=ratings,
        title=one.recommendation[:300],
        references=tuple(dict.fromkeys(each.url for each in one.advisories if each.url)),
        published=one.published,
        modified=one.updated,
        exempted=analysis.state in _EXEMPT,
        vendor={name: value for name, value in vendor.items() if value},
    )


def _coverage(bom: Bom) -> Iterator[CoverageItem]:
    """Whoever writes a bill of materials leaves the list of vulnerabilities empty too: that is no clean image."""
    if not bom.vulnerabilities:
        nothing = "the document lists no vulnerability: it may be a bill of materials that nobody looked at"
        yield CoverageItem(subject="vulnerabilities", status=CoverageStatus.NOT_COVERED, detail=nothing)
    kinds: dict[str, int] = {}
    for component in _all(bom.components):
        kind = component.purl.removeprefix("pkg:").partition("/")[0] if component.purl else "components without type"
        kinds[kind] = kinds.get(kind, 0) + 1
    for kind, count in sorted(kinds.items()):
        yield CoverageItem(subject=kind, status=CoverageStatus.COVERED, packages=count)
    if not kinds:
        yield CoverageItem(
            subject="packages", status=CoverageStatus.NOT_COVERED, detail="the document lists no components"
        )
