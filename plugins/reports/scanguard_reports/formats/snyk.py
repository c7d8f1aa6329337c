"""The JSON of ``snyk test`` and ``snyk container test``: one project, a list of projects, or one with ``applications``.

The same vulnerability stands once for each way that leads to a package: those are one finding here, with the ways in
``vendor``. Snyk names no digest. A SNYK id with exactly one CVE is an alias of it; with several they are references.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import Field

from scanguard.errors import ScannerOutputError
from scanguard.model.finding import Cvss, Finding, Package
from scanguard.model.report import CoverageItem, CoverageStatus
from scanguard_reports.formats.fields import Foreign, Moment, Nullable, Score, Text, Texts, severity_of
from scanguard_reports.parsed import Parsed

_TYPES: Final = {
    "npm": "npm",
    "yarn": "npm",
    "pnpm": "npm",
    "maven": "maven",
    "gradle": "maven",
    "pip": "pypi",
    "poetry": "pypi",
    "pipenv": "pypi",
    "rubygems": "gem",
    "gomodules": "golang",
    "golangdep": "golang",
    "nuget": "nuget",
    "composer": "composer",
}
_SYSTEMS: Final = {"deb": "deb", "apk": "apk", "rpm": "rpm"}
_DEB: Final = frozenset({"debian", "ubuntu"})
_WAYS: Final = 20


class Identifiers(Foreign):
    """Its ids elsewhere."""

    cve: Texts = Field(default=(), alias="CVE")
    ghsa: Texts = Field(default=(), alias="GHSA")


class Vulnerability(Foreign):
    """A vulnerability."""

    id: str = Field(min_length=1)
    title: Text = ""
    severity: Text = ""
    with_critical: Text = Field(default="", alias="severityWithCritical")
    package: Text = Field(default="", alias="packageName")
    name: Text = ""
    version: Text = ""
    manager: Text = Field(default="", alias="packageManager")
    nearest: Text = Field(default="", alias="nearestFixedInVersion")
    fixed: Texts = Field(default=(), alias="fixedIn")
    ways: Texts = Field(default=(), alias="from")
    identifiers: Identifiers = Identifiers()
    vector: Text = Field(default="", alias="CVSSv3")
    score: Score = Field(default=None, alias="cvssScore")
    published: Moment = Field(default=None, alias="publicationTime")
    modified: Moment = Field(default=None, alias="modificationTime")
    ignored: list[Any] | dict[str, Any] | None = None


class Project(Foreign):
    """A project, with the applications in it."""

    vulnerabilities: Annotated[tuple[Vulnerability, ...], Nullable]
    count: int | None = Field(default=None, alias="dependencyCount")
    manager: Text = Field(default="", alias="packageManager")
    file: Text = Field(default="", alias="displayTargetFile")
    applications: Annotated[tuple[Project, ...], Nullable] = ()


def recognises(document: Any) -> bool:  # noqa: ANN401  # any JSON
    """A project says whether it is ok."""
    first = document[0] if isinstance(document, list) and document else document
    return isinstance(first, dict) and isinstance(first.get("ok"), bool)


def read(document: Any) -> Parsed:  # noqa: ANN401  # any JSON
    """Read it; ScannerOutputError for a test that failed, pydantic's ValidationError when it does not fit."""
    documents = document if isinstance(document, list) else [document]
    if any(isinstance(one, dict) and "error" in one and "vulnerabilities" not in one for one in documents):
        raise ScannerOutputError("Snyk says that its test failed; run it again", plugin="reports")
    projects = [project for one in documents for project in _all(Project.model_validate(one))]
    found: dict[tuple[str, str, str], Finding] = {}
    ways: dict[tuple[str, str, str], list[str]] = {}
    for project in projects:
        for one in project.vulnerabilities:
            key = (one.id, one.name or one.package, one.version)
            ways.setdefault(key, []).append(" > ".join(one.ways))
            found.setdefault(key, _finding(one, project))
    return Parsed(
        tool="snyk",
        findings=tuple(
            one.model_copy(update={"vendor": {**one.vendor, "from": list(dict.fromkeys(ways[key]))[:_WAYS]}})
            for key, one in found.items()
        ),
        coverage=tuple(_coverage(projects)),
    )


def _all(project: Project) -> Iterator[Project]:
    yield project
    for one in project.applications:
        yield from _all(one)


def _finding(one: Vulnerability, project: Project) -> Finding:
    others = tuple(dict.fromkeys((*one.identifiers.cve, *one.identifiers.ghsa)))
    is_one = len(one.identifiers.cve) <= 1 and len(one.identifiers.ghsa) <= 1
    ratings: tuple[Cvss, ...] = ()
    if one.vector:
        version = one.vector.removeprefix("CVSS:").partition("/")[0]
        ratings = (Cvss(version=version, vector=one.vector, score=one.score, source="snyk"),)
    return Finding(
        id=one.id,
        aliases=others if is_one else (),
        package=_package(one, one.manager or project.manager, project.file),
        fixed_versions=tuple(dict.fromkeys(v for v in (one.nearest, *one.fixed) if v)),
        severity=severity_of(one.with_critical or one.severity),
        severity_source="snyk",
        cvss=ratings,
        title=one.title,
        references=() if is_one else others,
        published=one.published,
        modified=one.modified,
        exempted=bool(one.ignored),
    )


def _package(one: Vulnerability, manager: str, file: str) -> Package:
    """Operating systems name ``source/binary``; a package URL is made only where the type is beyond doubt."""
    from packageurl import PackageURL  # noqa: PLC0415  # only this format makes package URLs

    system, _, release = manager.partition(":")
    name, source = one.name or one.package, None
    kind, namespace = _TYPES.get(system), None
    if system in _DEB or system in _SYSTEMS:
        kind = "deb" if system in _DEB else _SYSTEMS[system]
        namespace = system if system in _DEB else "alpine" if system == "apk" else None
        if "/" in name:
            source, name = name.split("/", 1)
    elif kind == "maven" and ":" in name:
        namespace, _, name = name.partition(":")
    elif kind in ("npm", "golang", "composer") and "/" in name:
        namespace, _, name = name.rpartition("/")
    purl = PackageURL(kind, namespace, name, one.version).to_string() if kind and name and one.version else ""
    return Package(
        purl=purl,
        name=name or one.id,
        version=one.version,
        ecosystem=f"{system}:{release}" if release else system,
        source_name=source,
        path=file or None,
    )


def _coverage(projects: list[Project]) -> Iterator[CoverageItem]:
    for project in projects:
        subject = project.manager or project.file or "a project"
        if project.count == 0:
            nothing = "Snyk found no dependencies in it"
            yield CoverageItem(subject=subject, status=CoverageStatus.NOT_COVERED, packages=0, detail=nothing)
        else:
            yield CoverageItem(subject=subject, status=CoverageStatus.COVERED, packages=project.count)
