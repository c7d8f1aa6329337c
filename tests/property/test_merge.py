"""Merging reports loses nothing, does not care for order or grouping, and merging again changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from scanguard.engine.merge import join, merge
from scanguard.model.finding import Finding, Package
from scanguard.model.image import Platform
from scanguard.model.merged import MergedReport
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport
from scanguard.model.severity import Severity

DIGEST = "sha256:" + "a" * 64
NOW = datetime(2026, 1, 1, tzinfo=UTC)
IDS = ["CVE-1", "CVE-2", "GHSA-1", "ghsa-1", "GHSA-2", "PYSEC-1"]
PURLS = [
    "pkg:deb/debian/libssl3@3.0-1?arch=amd64",
    "pkg:deb/ubuntu/openssl@3.0-1",
    "pkg:pypi/libssl3@3.0-1",
    "pkg:pypi/openssl@3.0-1",
    "not a package url",
    "",
]

packages = st.builds(
    lambda name, version, purl, source, path: Package(
        purl=purl, name=name, version=version, ecosystem="", source_name=source, path=path
    ),
    st.sampled_from(["libssl3", "openssl"]),
    st.sampled_from(["3.0-1", "1:3.0-1", "3.0-2"]),
    st.sampled_from(PURLS),
    st.sampled_from([None, "openssl"]),
    st.sampled_from([None, "x", "y"]),
)
findings = st.builds(
    Finding,
    id=st.sampled_from(IDS),
    aliases=st.lists(st.sampled_from(IDS), max_size=2).map(tuple),
    package=packages,
    severity=st.sampled_from(list(Severity)),
    fixed_versions=st.lists(st.sampled_from(["3", "4"]), max_size=2).map(tuple),
    informational=st.booleans(),
    exempted=st.booleans(),
    vendor=st.sampled_from([{}, {"qid": 1}, {"qid": 2}]),
)
NAMES = ["one", "two", "two@deep", "three"]
trusts = st.lists(st.sampled_from(NAMES), unique=True, max_size=3).map(tuple)


def report(found: list[Finding], *, confirmed: bool = True) -> ScanReport:
    return ScanReport(
        digest=DIGEST,
        platform=Platform(),
        scanner=ScannerInfo(tool="t", version="1"),
        started_at=NOW,
        finished_at=NOW,
        findings=tuple(found),
        coverage=Coverage(items=(CoverageItem(subject="s", status=CoverageStatus.COVERED),)),
        confirmed=confirmed,
    )


reports = st.dictionaries(
    st.sampled_from(NAMES), st.builds(report, st.lists(findings, max_size=6), confirmed=st.booleans()), min_size=1
)


@given(reports, trusts)
def test_every_finding_is_kept_as_it_was_said_once_and_nothing_is_made_up(
    given_reports: dict[str, ScanReport], trust: tuple[str, ...]
) -> None:
    merged = merge(DIGEST, given_reports, trust)
    kept = [(one.scanner, one.finding) for item in merged.findings for one in item.statements]
    said = [(name, finding) for name, one in given_reports.items() for finding in one.findings]
    assert all(kept.count(one) == 1 for one in said)
    assert all(one in said for one in kept)


@given(reports, trusts)
def test_what_is_shown_of_a_finding_covers_all_that_was_said(
    given_reports: dict[str, ScanReport], trust: tuple[str, ...]
) -> None:
    for item in merge(DIGEST, given_reports, trust).findings:
        said = [one.finding for one in item.statements]
        assert item.finding.ids == frozenset[str]().union(*(finding.ids for finding in said))
        assert set(item.finding.fixed_versions) == {version for finding in said for version in finding.fixed_versions}
        assert item.found_by == tuple(sorted({one.scanner for one in item.statements}))
        assert item.finding.informational == all(finding.informational for finding in said)
        assert item.finding.exempted == all(finding.exempted for finding in said)
        assert {finding.package for finding in said} == set(item.packages)


@given(reports)
def test_the_severity_is_the_highest_that_anybody_states(given_reports: dict[str, ScanReport]) -> None:
    for item in merge(DIGEST, given_reports).findings:
        highest = max((one.finding.severity for one in item.statements), key=lambda severity: severity.rank)
        assert item.finding.severity is highest
        assert highest in {one.finding.severity for one in item.statements if one.scanner == item.severity_by}


@given(reports, trusts)
def test_or_that_of_the_first_trusted_scanner_that_states_one(
    given_reports: dict[str, ScanReport], trust: tuple[str, ...]
) -> None:
    for item in merge(DIGEST, given_reports, trust).findings:
        for name in trust:
            stated = [
                one.finding.severity
                for one in item.statements
                if name in (one.scanner, one.scanner.partition("@")[0]) and one.finding.severity is not Severity.UNKNOWN
            ]
            if stated:
                assert item.finding.severity is max(stated, key=lambda severity: severity.rank)
                break


@given(reports, trusts)
def test_the_order_of_reports_and_findings_does_not_matter(
    given_reports: dict[str, ScanReport], trust: tuple[str, ...]
) -> None:
    turned = {
        name: one.model_copy(update={"findings": one.findings[::-1]})
        for name, one in reversed(list(given_reports.items()))
    }
    assert merge(DIGEST, given_reports, trust) == merge(DIGEST, turned, trust)


@given(reports, trusts, st.randoms(use_true_random=False))
def test_merging_what_is_merged_is_merging_everything_at_once(
    given_reports: dict[str, ScanReport], trust: tuple[str, ...], chance: st.DataObject
) -> None:
    whole = merge(DIGEST, given_reports, trust)
    parts = [merge(DIGEST, {name: one}) for name, one in given_reports.items()]
    chance.shuffle(parts)  # type: ignore[attr-defined]  # hypothesis types its random numbers as data
    left = right = parts[0]
    for part in parts[1:]:
        left, right = join([left, part], trust), join([part, right], trust)
    assert join([left], trust) == join([right], trust) == whole


@given(reports, trusts)
def test_merging_again_changes_nothing(given_reports: dict[str, ScanReport], trust: tuple[str, ...]) -> None:
    merged = merge(DIGEST, given_reports, trust)
    assert join([merged, merged], trust) == merged
    assert merge(DIGEST, given_reports, trust) == merged


@given(reports)
def test_a_merged_report_is_stored_and_read_without_loss(given_reports: dict[str, ScanReport]) -> None:
    merged = merge(DIGEST, given_reports)
    assert MergedReport.model_validate_json(merged.model_dump_json()) == merged
