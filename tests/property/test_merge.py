"""Merging reports loses nothing, does not care for order, and merging again changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from scanguard.engine.merge import merge
from scanguard.model.finding import Finding, Package
from scanguard.model.image import Platform
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport
from scanguard.model.severity import Severity
from scanguard.model.verdict import MergedFinding

DIGEST = "sha256:" + "a" * 64
NOW = datetime(2026, 1, 1, tzinfo=UTC)
IDS = ["CVE-1", "CVE-2", "GHSA-1", "GHSA-2", "PYSEC-1"]

packages = st.builds(
    lambda name, version, path: Package(
        purl=f"pkg:pypi/{name}@{version}", name=name, version=version, ecosystem="PyPI", path=path
    ),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["1", "2"]),
    st.sampled_from([None, "x", "y"]),
)
findings = st.builds(
    Finding,
    id=st.sampled_from(IDS),
    aliases=st.lists(st.sampled_from(IDS), max_size=2).map(tuple),
    package=packages,
    severity=st.sampled_from(list(Severity)),
    fixed_versions=st.lists(st.sampled_from(["3", "4"]), max_size=2).map(tuple),
)


def report(found: list[Finding]) -> ScanReport:
    return ScanReport(
        digest=DIGEST,
        platform=Platform(),
        scanner=ScannerInfo(tool="t", version="1"),
        started_at=NOW,
        finished_at=NOW,
        findings=tuple(found),
        coverage=Coverage(items=(CoverageItem(subject="s", status=CoverageStatus.COVERED),)),
    )


def identity(item: MergedFinding) -> tuple[object, ...]:
    return item.finding.ids, item.finding.package, item.found_by, item.finding.severity


reports = st.dictionaries(st.sampled_from(["one", "two", "three"]), st.lists(findings, max_size=6).map(report))


@given(reports)
def test_no_finding_is_lost(given_reports: dict[str, ScanReport]) -> None:
    merged = merge(DIGEST, given_reports)
    for instance, one in given_reports.items():
        for finding in one.findings:
            holders = [
                item
                for item in merged.findings
                if instance in item.found_by
                and finding.ids <= item.finding.ids
                and item.finding.package == finding.package
            ]
            assert len(holders) == 1
            assert set(finding.fixed_versions) <= set(holders[0].finding.fixed_versions)
            assert holders[0].finding.severity.rank >= finding.severity.rank


@given(reports)
def test_the_order_of_reports_and_findings_does_not_matter(given_reports: dict[str, ScanReport]) -> None:
    turned = {
        name: one.model_copy(update={"findings": one.findings[::-1]})
        for name, one in reversed(list(given_reports.items()))
    }
    one, other = merge(DIGEST, given_reports), merge(DIGEST, turned)
    assert {identity(item) for item in one.findings} == {identity(item) for item in other.findings}


@given(reports)
def test_findings_of_two_ids_in_one_package_are_joined_only_by_a_shared_id(
    given_reports: dict[str, ScanReport],
) -> None:
    merged = merge(DIGEST, given_reports)
    seen: set[tuple[Package, str]] = set()
    for item in merged.findings:
        for name in item.finding.ids:
            assert (item.finding.package, name) not in seen, "one vulnerability of one package stands once"
            seen.add((item.finding.package, name))


@given(reports)
def test_merging_the_merged_findings_again_changes_nothing(given_reports: dict[str, ScanReport]) -> None:
    merged = merge(DIGEST, given_reports)
    again = merge(DIGEST, {"all": report([item.finding for item in merged.findings])})
    assert [item.finding for item in again.findings] == [item.finding for item in merged.findings]
