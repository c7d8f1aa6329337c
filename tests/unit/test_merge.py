"""Which findings of several scanners are one, and what is shown of it."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scanguard.engine.merge import merge
from scanguard.model.finding import Finding, Package
from scanguard.model.image import Platform
from scanguard.model.merged import MergedFinding, MergedReport
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport
from scanguard.model.severity import Severity

DIGEST = "sha256:" + "b" * 64
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ADVISORIES = Path(__file__).parents[2] / "examples" / "demo" / "advisories" / "pypi-snapshot-2024-10-10.zip"

OPENSSL = Package(
    purl="pkg:deb/debian/libssl3@3.0.15-1~deb12u1?arch=amd64&distro=debian-12",
    name="libssl3",
    version="3.0.15-1~deb12u1",
    ecosystem="Debian:12",
    source_name="openssl",
)
UNNAMED = Package(purl="", name="openssl", version="3.0.15-1~deb12u1", ecosystem="")


def report(*findings: Finding, confirmed: bool = True) -> ScanReport:
    return ScanReport(
        digest=DIGEST,
        platform=Platform(),
        scanner=ScannerInfo(tool="t", version="1"),
        started_at=NOW,
        finished_at=NOW,
        findings=findings,
        coverage=Coverage(items=(CoverageItem(subject="s", status=CoverageStatus.COVERED),)),
        confirmed=confirmed,
    )


def finding(name: str, package: Package, severity: str = "HIGH", *aliases: str) -> Finding:
    return Finding(id=name, aliases=aliases, package=package, severity=Severity(severity))


def pypi(name: str, version: str = "1", path: str | None = None) -> Package:
    return Package(purl=f"pkg:pypi/{name}@{version}", name=name, version=version, ecosystem="PyPI", path=path)


def merged(**found: Finding | list[Finding]) -> tuple[MergedFinding, ...]:
    return merge(
        DIGEST, {name: report(*(one if isinstance(one, list) else [one])) for name, one in found.items()}
    ).findings


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(
            finding("CVE-1", OPENSSL),
            finding("CVE-1", OPENSSL.model_copy(update={"purl": OPENSSL.purl.partition("?")[0]})),
            id="qualifiers-differ",
        ),
        pytest.param(
            finding("CVE-1", OPENSSL),
            finding("CVE-1", OPENSSL.model_copy(update={"purl": "pkg:deb/debian/openssl@3.0.15-1~deb12u1"})),
            id="binary-and-source",
        ),
        pytest.param(finding("CVE-1", OPENSSL), finding("CVE-1", UNNAMED), id="no-package-url"),
        pytest.param(
            finding("CVE-1", OPENSSL),
            finding("CVE-1", UNNAMED.model_copy(update={"version": "1:3.0.15-1~deb12u1", "name": "LibSSL3"})),
            id="epoch-and-case",
        ),
        pytest.param(finding("GHSA-1", pypi("a"), "LOW", "CVE-1"), finding("CVE-1", pypi("a")), id="alias"),
        pytest.param(finding("cve-1", pypi("a")), finding("CVE-1", pypi("A")), id="spelling"),
        pytest.param(finding("CVE-1", pypi("a", path="x")), finding("CVE-1", pypi("a", path="y")), id="two-places"),
    ],
)
def test_these_are_one_finding_with_both_statements(one: Finding, other: Finding) -> None:
    (item,) = merged(first=one, second=other)
    assert item.found_by == ("first", "second")
    assert [said.finding for said in item.statements] == [one, other]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(finding("CVE-1", pypi("a")), finding("CVE-2", pypi("a")), id="vulnerability"),
        pytest.param(finding("CVE-1", pypi("a")), finding("CVE-1", pypi("b")), id="package"),
        pytest.param(finding("CVE-1", pypi("a")), finding("CVE-1", pypi("a", "2")), id="version"),
        pytest.param(
            finding("CVE-1", pypi("a")),
            finding("CVE-1", Package(purl="pkg:npm/a@1", name="a", version="1", ecosystem="npm")),
            id="ecosystem",
        ),
        pytest.param(
            finding("DSA-1-1", OPENSSL).model_copy(update={"references": ("CVE-1", "CVE-2")}),
            finding("CVE-1", OPENSSL),
            id="bundle",
        ),
        pytest.param(
            finding("CVE-1", UNNAMED),
            finding("CVE-1", UNNAMED.model_copy(update={"version": "3"})),
            id="no-url-version",
        ),
    ],
)
def test_these_are_two(one: Finding, other: Finding) -> None:
    assert len(merged(first=one, second=other)) == 2


def test_ids_that_a_third_finding_ties_together_are_one_vulnerability_everywhere() -> None:
    tie = finding("PYSEC-1", pypi("elsewhere"), "LOW", "CVE-1", "GHSA-1")
    found = merged(first=[finding("CVE-1", pypi("a"), "LOW"), tie], second=finding("GHSA-1", pypi("a"), "CRITICAL"))
    assert [(item.finding.id, item.finding.severity, item.found_by) for item in found] == [
        ("CVE-1", Severity.CRITICAL, ("first", "second")),
        ("PYSEC-1", Severity.LOW, ("first",)),
    ]
    assert found[0].severity_by == "second"


def test_a_chain_may_trust_one_scanner_for_severities_though_another_says_worse() -> None:
    reports = {
        "trivy": report(finding("CVE-1", pypi("a"), "CRITICAL"), finding("CVE-2", pypi("a"), "HIGH")),
        "qualys@deep": report(finding("CVE-1", pypi("a"), "LOW"), finding("CVE-2", pypi("a"), "UNKNOWN")),
    }
    found = {item.finding.id: item for item in merge(DIGEST, reports, ("qualys", "trivy")).findings}
    assert (found["CVE-1"].finding.severity, found["CVE-1"].severity_by) == (Severity.LOW, "qualys@deep")
    assert (found["CVE-2"].finding.severity, found["CVE-2"].severity_by) == (Severity.HIGH, "trivy")


def test_one_report_that_names_its_image_confirms_those_that_cannot() -> None:
    assert merge(DIGEST, {"a": report(confirmed=False), "b": report()}).confirmed
    assert not merge(DIGEST, {"a": report(confirmed=False)}).confirmed


def test_a_merged_report_of_an_older_version_is_still_read() -> None:
    now = merge(DIGEST, {"a": report(finding("CVE-1", pypi("a")))})
    stored = json.loads(now.model_dump_json())
    for item in stored["findings"]:
        del item["said"], item["severity_by"]
    before = MergedReport.model_validate(stored)
    assert before.findings[0].statements == now.findings[0].statements


def test_real_advisories_of_one_vulnerability_are_one_finding_and_no_more() -> None:
    """Each PyPI advisory beside its aliases, as scanners with other sources of ids report them."""
    with zipfile.ZipFile(ADVISORIES) as archive:
        advisories = [json.loads(archive.read(name)) for name in archive.namelist()]
    django = [
        (one["id"], tuple(one["aliases"]))
        for one in advisories
        if one.get("aliases") and any(each["package"]["name"] == "django" for each in one["affected"])
    ]
    package = pypi("django", "2.2")
    found = merged(
        osv=[finding(name, package, "UNKNOWN", *aliases) for name, aliases in django],
        trivy=[finding(alias, package) for _, aliases in django for alias in aliases if alias.startswith("CVE-")],
        grype=[finding(alias, package) for _, aliases in django for alias in aliases if alias.startswith("GHSA-")],
    )
    assert len(django) > 100
    assert sum(len(item.statements) for item in found) == sum(len({name, *aliases}) for name, aliases in django)
    assert len(found) == len({frozenset(item.finding.ids) for item in found}) <= len(django)
    assert all("osv" in item.found_by for item in found)
    assert sum(item.found_by == ("grype", "osv", "trivy") for item in found) > 40


def test_statements_of_unknown_severity_have_their_place_whatever_came_first() -> None:
    """As severities, an unknown one and any other are in no order; as statements they are."""
    rated, unrated = (finding("CVE-1", OPENSSL, severity) for severity in ("NEGLIGIBLE", "UNKNOWN"))
    assert merged(one=[rated, rated, unrated]) == merged(one=[unrated, rated, rated])
