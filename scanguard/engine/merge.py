"""Several reports on one digest become one: nothing lost, order-free, idempotent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from scanguard.model.finding import Finding
from scanguard.model.report import ScanReport
from scanguard.model.verdict import MergedFinding, MergedReport

_Spot = tuple[str, str, str]


def merge(digest: str, reports: Mapping[str, ScanReport]) -> MergedReport:
    """Merge reports, given by scanner instance.

    Two findings are joined when they concern the same package at the same place and share an id or alias
    (closed over chains of aliases). The joined finding has the highest severity that any of them states.
    """
    by_spot: dict[_Spot, list[tuple[str, Finding]]] = defaultdict(list)
    for instance in sorted(reports):
        for finding in reports[instance].findings:
            by_spot[_spot(finding)].append((instance, finding))
    joined = [_join(group) for found in by_spot.values() for group in _groups(found)]
    return MergedReport(
        digest=digest,
        findings=tuple(sorted(joined, key=_order)),
        compliance=tuple(check for instance in sorted(reports) for check in reports[instance].compliance),
        secrets=tuple(secret for instance in sorted(reports) for secret in reports[instance].secrets),
        coverage={instance: reports[instance].coverage for instance in sorted(reports)},
        confirmed=all(report.confirmed for report in reports.values()),
    )


def _spot(finding: Finding) -> _Spot:
    package = finding.package
    return package.purl or f"{package.ecosystem}/{package.name}", package.version, package.path or ""


def _groups(found: Sequence[tuple[str, Finding]]) -> Iterable[list[tuple[str, Finding]]]:
    """Split the findings of one package into sets that name the same vulnerability."""
    if len(found) == 1:
        return [list(found)]
    parent = list(range(len(found)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first_with: dict[str, int] = {}
    for index, (_, finding) in enumerate(found):
        for name in finding.ids:
            parent[root(index)] = root(first_with.setdefault(name.upper(), index))
    groups: dict[int, list[tuple[str, Finding]]] = defaultdict(list)
    for index, item in enumerate(found):
        groups[root(index)].append(item)
    return groups.values()


def _join(group: Sequence[tuple[str, Finding]]) -> MergedFinding:
    found_by = tuple(sorted({instance for instance, _ in group}))
    findings = sorted((finding for _, finding in group), key=_preference)
    best = findings[0]
    if len(findings) == 1:
        return MergedFinding(finding=best, found_by=found_by)
    ids = frozenset().union(*(finding.ids for finding in findings)) - {best.id}
    return MergedFinding(
        finding=best.model_copy(
            update={
                "aliases": tuple(sorted(ids)),
                "fixed_versions": _union(finding.fixed_versions for finding in findings),
                "references": _union(finding.references for finding in findings),
                "cvss": tuple({(c.source, c.vector): c for f in findings for c in f.cvss}.values()),
                "title": next((finding.title for finding in findings if finding.title), ""),
            }
        ),
        found_by=found_by,
    )


def _union(several: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item for items in several for item in items))


def _preference(finding: Finding) -> tuple[int, str, str]:
    return -finding.severity.rank, finding.id, finding.severity_source


def _order(merged: MergedFinding) -> tuple[int, str, str, str, str]:
    finding = merged.finding
    package = finding.package
    return -finding.severity.rank, package.name, finding.id, package.version, package.path or ""
