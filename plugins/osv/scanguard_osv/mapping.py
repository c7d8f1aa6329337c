"""From matches to findings. Pure.

What is lost on the way: the full text (a title of one line is kept), credits, references past the first twenty,
GIT ranges, and which binary packages Ubuntu says a fix went into.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from packageurl import PackageURL
from pydantic import JsonValue

from scanguard.model.finding import Finding, Package
from scanguard_osv.advisory import ID_PATTERN, Advisory, Affected
from scanguard_osv.matching import Match
from scanguard_osv.os_release import OsRelease
from scanguard_osv.packages import InstalledPackage, PackageKind
from scanguard_osv.severity import assess, bundled_cves
from scanguard_osv.versions import UnorderableVersionError, order_of

_CVE = re.compile(r"CVE-\d{4}-\d{4,19}")
_DISTRO_CVE = re.compile(rf"[A-Z]+-({_CVE.pattern})")
_LINK = re.compile(r"https?://[!-~]{1,2000}")
_MAX_REFERENCES = 20
_MAX_TITLE_CHARS = 200


@dataclass(slots=True)
class _Vulnerability:
    """One vulnerability of one package, and every match that speaks of it; the first one leads."""

    id: str
    aliases: tuple[str, ...]
    cve: str | None
    matches: list[Match] = field(default_factory=list)


def map_findings(matches: Iterable[Match], system: OsRelease | None) -> tuple[Finding, ...]:
    """Turn matches into findings, in a fixed order, one per package and vulnerability.

    A distribution's record of one vulnerability (``DEBIAN-CVE-…``) keeps its id and has that CVE as alias. An
    advisory that bundles (DSA, DLA, USN) is never a vulnerability's alias: it becomes a reference of each CVE
    it names, joined to that CVE's own record where one matched, else a finding of its own under the CVE's id.
    Only an advisory that names no CVE at all is a finding under its own id.
    """
    by_package: dict[InstalledPackage, list[Match]] = {}
    for one in matches:
        by_package.setdefault(one.package, []).append(one)
    findings = [
        _finding(vulnerability, system)
        for package_matches in by_package.values()
        for vulnerability in _vulnerabilities(package_matches)
    ]
    return tuple(sorted(findings, key=lambda one: (one.package.purl, one.package.path or "", one.id)))


def to_package(package: InstalledPackage, ecosystem: str, system: OsRelease | None) -> Package:
    """The package as the model has it; its purl names the distribution as the purl specification wants."""
    return Package(
        purl=_purl(package, system),
        name=package.name,
        version=package.version,
        ecosystem=ecosystem,
        source_name=package.source_name,
        source_version=package.source_version,
        path=package.path or None,
        layer=package.layer,
    )


def own_cve(advisory: Advisory) -> str | None:
    """The CVE that a record like ``DEBIAN-CVE-2024-1`` is the distribution's copy of."""
    copy = _DISTRO_CVE.fullmatch(advisory.id)
    upstream = _upstream_cves(advisory)
    return copy[1] if copy and set(upstream) <= {copy[1]} else None


def _vulnerabilities(matches: Sequence[Match]) -> Iterable[_Vulnerability]:
    ordered = sorted(matches, key=lambda one: one.advisory.id)
    found: dict[str, _Vulnerability] = {}
    bundles: list[Match] = []
    for one in ordered:
        cve = own_cve(one.advisory)
        if cve is None and _upstream_cves(one.advisory) and not one.advisory.aliases:
            bundles.append(one)
            continue
        own = [name for name in one.advisory.aliases if re.fullmatch(ID_PATTERN, name)]
        aliases = dict.fromkeys((*((cve,) if cve else ()), *own))
        found[one.advisory.id] = _Vulnerability(one.advisory.id, tuple(aliases), cve, [one])
    by_cve = {name: known for known in found.values() for name in (known.id, *known.aliases) if _CVE.fullmatch(name)}
    for one in bundles:
        for cve in _cves_of(one):
            known = by_cve.setdefault(cve, _Vulnerability(cve, (), cve))
            found.setdefault(known.id, known).matches.append(one)
    return found.values()


def _cves_of(one: Match) -> Sequence[str]:
    """The CVEs of a bundle for the entries that hit: the entry's own list, else all the record names."""
    listed = dict.fromkeys(cve for entry in one.entries for cve in bundled_cves(entry) if _CVE.fullmatch(cve))
    return tuple(listed) or _upstream_cves(one.advisory)


def _upstream_cves(advisory: Advisory) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in advisory.upstream if _CVE.fullmatch(name)))


def _finding(vulnerability: _Vulnerability, system: OsRelease | None) -> Finding:
    first = vulnerability.matches[0]
    lead = first.advisory
    ratings = [assess(one.advisory, one.entries, one.ecosystem, vulnerability.cve) for one in vulnerability.matches]
    rating = next((one for one in ratings if one.source), ratings[0])
    return Finding(
        id=vulnerability.id,
        aliases=tuple(name for name in vulnerability.aliases if name != vulnerability.id),
        package=to_package(first.package, first.ecosystem, system),
        fixed_versions=_fixed_versions(vulnerability.matches),
        severity=rating.severity,
        severity_source=rating.source,
        cvss=next((one.cvss for one in ratings if one.cvss), ()),
        title=_title(lead),
        references=_references(vulnerability.matches),
        published=lead.published,
        modified=lead.modified,
        vendor=_vendor(vulnerability),
    )


def _fixed_versions(matches: Iterable[Match]) -> tuple[str, ...]:
    """Versions with a fix, of the source package for distributions; the first match that names one decides."""
    for one in matches:
        fixes = dict.fromkeys(
            event.fixed
            for entry in one.entries
            for part in entry.ranges
            if part.type != "GIT"
            for event in part.events
            if event.fixed is not None and _is_newer(event.fixed, one)
        )
        if fixes:
            return tuple(fixes)
    return ()


def _is_newer(fixed: str, one: Match) -> bool:
    """A fix at or below the installed version belongs to another branch and would be a downgrade."""
    order = order_of(one.ecosystem)
    try:
        return order is None or order(fixed, one.package.source_version) > 0
    except UnorderableVersionError:
        return True


def _title(advisory: Advisory) -> str:
    """One line, without the control characters that a terminal would obey."""
    text = advisory.summary.strip() or advisory.details.strip()
    line = "".join(c if c.isprintable() else " " for c in text.splitlines()[0]).strip() if text else ""
    return line if len(line) <= _MAX_TITLE_CHARS else line[: _MAX_TITLE_CHARS - 1] + "…"


def _references(matches: Iterable[Match]) -> tuple[str, ...]:
    advisories = [one.advisory for one in matches]
    own = [f"https://osv.dev/vulnerability/{advisory.id}" for advisory in advisories]
    linked = [one.url for advisory in advisories for one in advisory.references if _LINK.fullmatch(one.url)]
    return tuple(dict.fromkeys((*own, *linked)))[:_MAX_REFERENCES]


def _vendor(vulnerability: _Vulnerability) -> Mapping[str, JsonValue]:
    advisories = [one.advisory.id for one in vulnerability.matches]
    bundling: list[JsonValue] = [name for name in advisories if name != vulnerability.id]
    vendor: dict[str, JsonValue] = {"matched_by": vulnerability.matches[0].basis}
    if bundling:
        vendor["advisories"] = bundling
    if words := _distribution_words(vulnerability.matches[0].entries):
        vendor["distribution"] = words
    return vendor


def _distribution_words(entries: Iterable[Affected]) -> dict[str, JsonValue]:
    return {
        key: value
        for entry in entries
        for key, value in entry.ecosystem_specific.items()
        if key != "cves_map" and isinstance(value, str)
    }


def _purl(package: InstalledPackage, system: OsRelease | None) -> str:
    if package.kind is PackageKind.PYPI:
        return PackageURL("pypi", None, package.name, package.version).to_string()
    namespace = system.id if system and system.id else package.kind.value
    distro = f"{system.id}-{system.version_id}" if system and system.id and system.version_id else namespace
    qualifiers = {"arch": package.architecture, "distro": distro}
    return PackageURL(
        package.kind.value, namespace, package.name, package.version, {k: v for k, v in qualifiers.items() if v}
    ).to_string()
