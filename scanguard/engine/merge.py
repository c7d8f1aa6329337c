"""Several reports on one digest become one: nothing lost, order-free, associative, idempotent.

Two findings are one when they name the same vulnerability (the same id, or ids that other findings tie together as
aliases) in the same package: the same package URL apart from its qualifiers, or the same source package. Where a
scanner gives no package URL, the same name and version.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

from scanguard.model.base import Model, base_of
from scanguard.model.finding import Finding, Package
from scanguard.model.merged import MergedFinding, MergedReport, Said
from scanguard.model.report import ScanReport
from scanguard.model.severity import Severity

_M = TypeVar("_M", bound=Model)
_Said = tuple[str, Finding]
"""A scanner instance and what it reports."""
_SYSTEM_TYPES = frozenset({"deb", "rpm", "apk", "alpm"})


def merge(digest: str, reports: Mapping[str, ScanReport], trust: Sequence[str] = ()) -> MergedReport:
    """Merge reports, given by scanner instance.

    Args:
        digest: The image they are about.
        reports: By scanner instance.
        trust: Instances whose severity counts, the first that states one; of the others the highest.
    """
    said = [(name, one) for name in reports for one in reports[name].findings]
    return MergedReport(
        digest=digest,
        findings=_findings(said, trust),
        compliance=_distinct(check for report in reports.values() for check in report.compliance),
        secrets=_distinct(secret for report in reports.values() for secret in report.secrets),
        coverage={name: reports[name].coverage for name in sorted(reports)},
        confirmed=any(report.confirmed for report in reports.values()),
    )


def join(merged: Sequence[MergedReport], trust: Sequence[str] = ()) -> MergedReport:
    """Merge what is merged already, on one digest; the same as merging all the reports at once."""
    coverage = {name: one for report in merged for name, one in report.coverage.items()}
    return MergedReport(
        digest=merged[0].digest,
        findings=_findings([one for report in merged for item in report.findings for one in _stated(item)], trust),
        compliance=_distinct(check for report in merged for check in report.compliance),
        secrets=_distinct(secret for report in merged for secret in report.secrets),
        coverage={name: coverage[name] for name in sorted(coverage)},
        confirmed=any(report.confirmed for report in merged),
    )


def _stated(item: MergedFinding) -> Iterator[_Said]:
    if not item.said:
        return ((name, item.finding) for name in item.found_by)
    return ((one.scanner, one.finding) for one in item.said)


def _findings(said: Sequence[_Said], trust: Sequence[str]) -> tuple[MergedFinding, ...]:
    with _no_collection():
        joined = [_merged(group, trust) for group in _groups(said)]
        return tuple(sorted(joined, key=_order))


@contextmanager
def _no_collection() -> Iterator[None]:
    """Without the cyclic garbage collector: nothing here is in a cycle, and it would visit every finding each time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _groups(said: Sequence[_Said]) -> Iterable[Sequence[_Said]]:
    """What was said, by vulnerability and package."""
    vulnerabilities = _vulnerabilities(said)
    numbers: dict[str, int] = {}

    def numbered(vulnerability: int, keys: Iterable[str]) -> Iterator[int]:
        """Vulnerability and package as one number, which is found again faster than text."""
        return (vulnerability << 32 | numbers.setdefault(key, len(numbers)) for key in keys)

    nameless = {
        number
        for vulnerability, (_, finding) in zip(vulnerabilities, said, strict=True)
        if not finding.package.purl
        for number in numbered(vulnerability, _plain_keys(finding.package))
    }
    sets = _Sets(len(said))
    first_with: dict[int, int] = {}
    for index, (vulnerability, (_, finding)) in enumerate(zip(vulnerabilities, said, strict=True)):
        package = finding.package
        for number in numbered(vulnerability, _keys(package)):
            sets.tie(index, first_with.setdefault(number, index))
        for number in numbered(vulnerability, _plain_keys(package)) if nameless else ():
            if number in nameless:
                sets.tie(index, first_with.setdefault(number, index))
    members: dict[int, list[_Said]] = {}
    for index, one in enumerate(said):
        members.setdefault(sets.root(index), []).append(one)
    return members.values()


class _Sets:
    """Which of so many things belong together (disjoint sets)."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, one: int) -> int:
        """The representative of the set that this belongs to."""
        parent = self._parent
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    def tie(self, one: int, other: int) -> None:
        """These belong together."""
        if one != other:
            self._parent[self.root(one)] = self.root(other)


def _vulnerabilities(said: Sequence[_Said]) -> list[int]:
    """A number of the vulnerability for each statement; ids that are aliases of each other share it."""
    numbers: dict[str, int] = {}
    ids = [[numbers.setdefault(name.upper(), len(numbers)) for name in (one.id, *one.aliases)] for _, one in said]
    sets = _Sets(len(numbers))
    for first, *others in ids:
        for other in others:
            sets.tie(first, other)
    return [sets.root(first) for first, *_ in ids]


def _keys(package: Package) -> tuple[str, ...]:
    """What names the package itself, and the source it was built from."""
    if not package.purl:
        return _plain_keys(package)
    return _purl_keys(package.purl, package.version, package.source_name, package.source_version)


@lru_cache(maxsize=65_536)
def _purl_keys(purl: str, version: str, source_name: str | None, source_version: str | None) -> tuple[str, ...]:
    from packageurl import PackageURL  # noqa: PLC0415  # only who merges needs it

    try:
        parsed = PackageURL.from_string(purl)
    except ValueError:
        return (f"{purl}@{version}",)  # what a scanner wrote wrongly stands for itself
    is_system = parsed.type in _SYSTEM_TYPES  # one image has one distribution, which not all spell alike
    base = parsed.type if is_system or not parsed.namespace else f"{parsed.type}/{parsed.namespace}"
    itself = f"{base}/{parsed.name}@{_without_epoch(parsed.version or version)}"
    if not source_name:
        return (itself,)
    return itself, f"{base}/{source_name}@{_without_epoch(source_version or version)}"


def _plain_keys(package: Package) -> tuple[str, ...]:
    itself = f"{package.name.lower()}@{_without_epoch(package.version)}"
    if not package.source_name:
        return (itself,)
    return itself, f"{package.source_name.lower()}@{_without_epoch(package.source_version or package.version)}"


def _without_epoch(version: str) -> str:
    """``1:2.3-4`` is ``2.3-4`` for those who write the epoch elsewhere or nowhere."""
    epoch, colon, rest = version.partition(":")
    return rest if colon and epoch.isdigit() else version


def _merged(group: Sequence[_Said], trust: Sequence[str]) -> MergedFinding:
    said = _sorted(group) if len(group) > 1 else group
    if len(said) == 1:
        ((scanner, finding),) = said
        return MergedFinding(finding=finding, found_by=(scanner,), severity_by=scanner)
    severity, instance = _severity(said, trust)
    return MergedFinding(
        finding=_joined([finding for _, finding in said], severity),
        found_by=tuple(sorted({scanner for scanner, _ in said})),
        severity_by=instance,
        said=tuple(Said(scanner=scanner, finding=finding) for scanner, finding in said),
    )


def _joined(findings: Sequence[Finding], severity: Severity) -> Finding:
    """All of it as one finding: the worst statement, with every id, fixed version, rating and reference.

    Its id is the CVE where there is one. It is informational, or exempted, when everybody says so.
    """
    worst_first = sorted(findings, key=lambda finding: -finding.severity.rank)
    best = worst_first[0]
    ids = sorted({name for finding in findings for name in (finding.id, *finding.aliases)}, key=_by_issuer)
    rated = best if best.severity is severity else next(one for one in worst_first if one.severity is severity)
    published = [one.published for one in findings if one.published]
    modified = [one.modified for one in findings if one.modified]
    predicted = [one.epss for one in worst_first if one.epss]
    update: dict[str, object] = {
        "id": ids[0],
        "aliases": tuple(ids[1:]),
        "fixed_versions": _union([one.fixed_versions for one in worst_first]),
        "severity": severity,
        "severity_source": rated.severity_source,
        "cvss": tuple({(one.source, one.vector): one for each in worst_first for one in each.cvss}.values()),
        "title": best.title or next((one.title for one in worst_first if one.title), ""),
        "references": _union([one.references for one in worst_first]),
        "published": min(published) if published else None,
        "modified": max(modified) if modified else None,
        "epss": max(predicted, key=lambda epss: (epss.date, epss.score)) if predicted else None,
        "kev": best.kev or next((one.kev for one in worst_first if one.kev), None),
        "informational": all(one.informational for one in findings),
        "exempted": all(one.exempted for one in findings),
    }
    return best.model_copy(update=update)


def _by_issuer(name: str) -> tuple[int, str]:
    """CVE ids first, GHSA ids next: what most people look for."""
    return (0 if name.startswith("CVE-") else 1 if name.startswith("GHSA-") else 2), name


def _union(several: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    first, *others = several
    if all(one == first for one in others):
        return tuple(dict.fromkeys(first))
    return tuple(dict.fromkeys(item for items in several for item in items))


def _sorted(group: Sequence[_Said]) -> Sequence[_Said]:
    """In an order that depends on nothing but the content, each statement once."""
    keyed = {_statement(*one): one for one in group}
    if len(keyed) < len(group):  # the rare ones that the short key does not tell apart
        keyed = {(*_statement(*one), one[1].model_dump_json()): one for one in group}
    return [keyed[key] for key in sorted(keyed)]


def _statement(scanner: str, finding: Finding) -> tuple[str, ...]:
    package = finding.package
    severity = finding.severity.value  # as text, for as severities not all of them can be put in order
    return scanner, finding.id, package.purl, package.name, package.version, package.path or "", severity


def _severity(said: Sequence[_Said], trust: Sequence[str]) -> tuple[Severity, str]:
    """The severity of the most trusted who states one, else the highest; and whose it is."""
    for trusted in trust:
        stated = [
            one for one in said if trusted in (one[0], base_of(one[0])) and one[1].severity is not Severity.UNKNOWN
        ]
        if stated:
            break
    else:
        stated = list(said)
    scanner, finding = max(stated, key=lambda one: one[1].severity.rank)  # the first of equals, and they are sorted
    return finding.severity, scanner


def _order(merged: MergedFinding) -> tuple[object, ...]:
    finding = merged.finding
    return -finding.severity.rank, finding.package.name, *_statement("", finding)[1:], merged.found_by


def _distinct(items: Iterable[_M]) -> tuple[_M, ...]:
    found = {item.model_dump_json(): item for item in items}
    return tuple(found[text] for text in sorted(found))
