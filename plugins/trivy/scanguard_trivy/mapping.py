"""Vulnerabilities in Trivy's words, in ours. Pure.

What is lost: descriptions (a title stays), references past the first hundred, the severities of sources other than the
one Trivy chose (their CVSS stays), the dependency graph, and fingerprints, which say no more than id, package and place
do. What has no id or no package name cannot be told; :func:`map_findings` counts it, and coverage says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic import JsonValue

from scanguard.model.finding import Cvss, Finding, Package
from scanguard.model.severity import Severity
from scanguard_trivy.purls import make_purl
from scanguard_trivy.report import Identifier, InstalledPackage, Rating, Result, Vulnerability

OS_PACKAGES: Final = "os-pkgs"
MAX_TEXT_CHARS: Final = 1000
_MAX_REFERENCES: Final = 100
_MAX_TITLE_CHARS: Final = 300
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,199}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_SEVERITIES: Final = {name: Severity(name) for name in ("LOW", "MEDIUM", "HIGH", "CRITICAL")}
"""Trivy's scale (``trivy-db/pkg/types``); UNKNOWN, and any word that is not on it, stays UNKNOWN."""
_LINKS: Final = ("https://", "http://")


@dataclass(frozen=True, slots=True)
class Findings:
    """What was mapped, and how many vulnerabilities could not be: they name no id or no package."""

    findings: tuple[Finding, ...]
    unreadable: int


def severity_of(word: str) -> Severity:
    """Our severity for Trivy's word."""
    return _SEVERITIES.get(word, Severity.UNKNOWN)


def layer_of(digest: str) -> str | None:
    """The digest of a layer; None for what is none, as in archives, where Trivy knows no stored layer."""
    return digest if _DIGEST.fullmatch(digest) else None


def one_line(text: str, limit: int = _MAX_TITLE_CHARS) -> str:
    """The first line, cut, without the control characters that a terminal would obey."""
    line = text.strip().partition("\n")[0].strip()
    if not line.isprintable():
        line = "".join(c if c.isprintable() else " " for c in line).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def map_findings(results: Iterable[Result]) -> Findings:
    """Map every vulnerability; the same one in the same package at the same place comes once."""
    found: dict[tuple[str, str, str, str], Finding] = {}
    unreadable = 0
    ratings = _Ratings()
    for result in results:
        packages = _Packages(result)
        for vulnerability in result.vulnerabilities or ():
            finding = _finding(vulnerability, packages, ratings)
            if finding is None:
                unreadable += 1
                continue
            package = finding.package
            found.setdefault((finding.id, package.purl, package.version, package.path or ""), finding)
    return Findings(tuple(found.values()), unreadable)


class _Packages:
    """The packages of one result, each made once however many vulnerabilities it has."""

    def __init__(self, result: Result) -> None:
        self._kind = result.type
        self._is_os = result.class_ == OS_PACKAGES
        self._target = "" if self._is_os else result.target
        self._listed = dict(_by_name(result.packages or ()))
        self._made: dict[tuple[str, str, str, str], Package] = {}

    def of(self, found: Vulnerability) -> Package:
        identifier = found.pkg_identifier
        key = (
            identifier.uid or identifier.purl or found.pkg_name,
            found.installed_version,
            found.pkg_path,
            found.layer.digest,
        )
        package = self._made.get(key)
        if package is None:
            package = self._made[key] = self._make(found, identifier)
        return package

    def _make(self, found: Vulnerability, identifier: Identifier) -> Package:
        listed = self._listed.get(identifier.uid) or self._listed.get(found.pkg_id)
        source = listed if listed is not None and self._is_os and listed.src_name else None
        purl = identifier.purl
        return Package(
            purl=purl if purl.startswith("pkg:") else make_purl(self._kind, found.pkg_name, found.installed_version),
            name=found.pkg_name,
            version=found.installed_version,
            ecosystem=self._kind,
            source_name=source.src_name if source else None,
            source_version=_source_version(source) if source else None,
            path=found.pkg_path or self._target or None,
            layer=layer_of(found.layer.digest),
        )


def _by_name(packages: Iterable[InstalledPackage]) -> Iterator[tuple[str, InstalledPackage]]:
    for package in packages:
        if package.id:
            yield package.id, package
        if package.identifier.uid:
            yield package.identifier.uid, package


def _source_version(package: InstalledPackage) -> str | None:
    """``epoch:version-release``, as ``utils.FormatSrcVersion`` of Trivy writes it."""
    if not package.src_version:
        return None
    epoch = f"{package.src_epoch}:" if package.src_epoch else ""
    release = f"-{package.src_release}" if package.src_release else ""
    return f"{epoch}{package.src_version}{release}"


class _Ratings:
    """CVSS ratings, each made once: reports repeat a few of them thousands of times."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str, float, str], Cvss] = {}

    def of(self, ratings: Mapping[str, Rating]) -> Iterator[Cvss]:
        for source, rating in ratings.items():
            if rating.v40_vector:
                yield self._rated("4.0", rating.v40_vector, rating.v40_score, source)
            if rating.v3_vector:
                version = "3.0" if rating.v3_vector.startswith("CVSS:3.0/") else "3.1"
                yield self._rated(version, rating.v3_vector, rating.v3_score, source)
            if rating.v2_vector:
                yield self._rated("2.0", rating.v2_vector, rating.v2_score, source)

    def _rated(self, version: str, vector: str, score: float, source: str) -> Cvss:
        """A 0 beside a vector is kept, for Trivy leaves out zeros; what is no score is left out."""
        key = (version, vector, score, source)
        made = self._made.get(key)
        if made is None:
            known = score if 0 <= score <= 10 else None
            made = self._made[key] = Cvss(version=version, vector=vector, score=known, source=source)
        return made


def _finding(found: Vulnerability, packages: _Packages, ratings: _Ratings) -> Finding | None:
    name = found.vulnerability_id
    if not _ID.fullmatch(name) or not found.pkg_name or len(found.pkg_name) > MAX_TEXT_CHARS:
        return None
    return Finding(
        id=name,
        package=packages.of(found),
        fixed_versions=_fixed_versions(found.fixed_version),
        severity=severity_of(found.severity),
        severity_source=found.severity_source,
        cvss=tuple(ratings.of(found.cvss)) if found.cvss else (),
        title=one_line(found.title),
        references=_references(found),
        published=_moment(found.published_date),
        modified=_moment(found.last_modified_date),
        vendor=_vendor(found),
    )


def _fixed_versions(text: str) -> tuple[str, ...]:
    """Trivy joins the fixed versions of several branches with commas."""
    if "," not in text:
        return (text,) if text else ()
    return tuple(dict.fromkeys(part for piece in text.split(",") if (part := piece.strip())))


def _references(found: Vulnerability) -> tuple[str, ...]:
    listed = (found.references or [])[:_MAX_REFERENCES]
    return tuple(dict.fromkeys([link for link in (found.primary_url, *listed) if link.startswith(_LINKS)]))


def _moment(moment: datetime | None) -> datetime | None:
    """Trivy writes the year 1 where it knows no date."""
    return moment.astimezone(UTC) if moment is not None and moment.year > 1 else None


def _vendor(found: Vulnerability) -> Mapping[str, JsonValue]:
    """Trivy's status (``fixed``, ``affected``, ``will_not_fix`` …), the bundles (``DSA-…``) and CWEs that name it."""
    vendor: dict[str, JsonValue] = {}
    if found.status:
        vendor["status"] = found.status
    if found.vendor_ids:
        vendor["advisories"] = _texts(found.vendor_ids)
    if found.cwe_ids:
        vendor["cwes"] = _texts(found.cwe_ids)
    return vendor


def _texts(texts: Sequence[str]) -> list[JsonValue]:
    return [text for text in texts[:_MAX_REFERENCES] if _ID.fullmatch(text)]
