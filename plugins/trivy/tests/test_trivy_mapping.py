"""Trivy's words in ours: what is kept, what is not, and what stays unknown."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fake_trivy import VULNERABILITY, alpine_result, report_with
from scanguard_trivy.checks import map_checks, map_secrets
from scanguard_trivy.config import TrivyConfig
from scanguard_trivy.coverage import Database, describe_coverage
from scanguard_trivy.mapping import map_findings
from scanguard_trivy.purls import make_purl
from scanguard_trivy.report import Result, parse_report

from scanguard.model.finding import Finding
from scanguard.model.report import Coverage, CoverageStatus
from scanguard.model.severity import Severity
from scanguard.testing.samples import NOW

REPORTS = Path(__file__).parent / "data" / "reports"
ENDED = {"Family": "alpine", "Name": "3.9.4", "EOSL": True}


def real(name: str) -> list[Result]:
    return parse_report(gzip.decompress((REPORTS / f"{name}.json.gz").read_bytes())).results or []


def results_of(*results: Mapping[str, Any]) -> list[Result]:
    return parse_report(json.dumps(report_with(*results)).encode()).results or []


def finding_of(**changes: Any) -> Finding:
    (found,) = map_findings(results_of(alpine_result({**VULNERABILITY, **changes}))).findings
    return found


def test_a_vulnerability_of_debian_keeps_everything_that_is_used() -> None:
    found = next(one for one in map_findings(real("image-debian-buster")).findings if one.id == "CVE-2019-18224")

    assert found.package.purl == "pkg:deb/debian/libidn2-0@2.0.5-1?arch=amd64&distro=debian-10.1"
    assert (found.package.name, found.package.version, found.package.ecosystem) == ("libidn2-0", "2.0.5-1", "debian")
    assert found.package.layer == "sha256:4a56a430b2bac33260d6449e162017e2b23076c6411a17b46db67f5b84dde2bd"
    assert found.fixed_versions == ("2.0.5-1+deb10u1",)
    assert (found.severity, found.severity_source) == (Severity.CRITICAL, "nvd")
    assert ("3.1", 9.8, "nvd") in [(one.version, one.score, one.source) for one in found.cvss]
    assert found.published == datetime(2019, 10, 21, 17, 15, tzinfo=UTC)
    assert "https://avd.aquasec.com/nvd/cve-2019-18224" in found.references
    assert found.vendor == {"status": "fixed", "advisories": ["DSA-4613-1"], "cwes": ["CWE-787"]}


def test_a_bundle_is_never_an_alias() -> None:
    assert finding_of(VendorIDs=["DSA-4613-1"]).aliases == ()


def test_the_source_package_comes_from_the_inventory() -> None:
    result = alpine_result(VULNERABILITY)
    source = {"SrcName": "musl-src", "SrcVersion": "1.1.20", "SrcRelease": "r4", "SrcEpoch": 2}
    result["Packages"][0].update(source)

    (found,) = map_findings(results_of(result)).findings

    assert (found.package.source_name, found.package.source_version) == ("musl-src", "2:1.1.20-r4")


@pytest.mark.parametrize(
    ("written", "severity"),
    [
        pytest.param("LOW", Severity.LOW, id="low"),
        pytest.param("CRITICAL", Severity.CRITICAL, id="critical"),
        pytest.param("UNKNOWN", Severity.UNKNOWN, id="unknown"),
        pytest.param("", Severity.UNKNOWN, id="none"),
        pytest.param("NEGLIGIBLE", Severity.UNKNOWN, id="a word that Trivy does not have"),
        pytest.param("critical", Severity.UNKNOWN, id="another spelling"),
    ],
)
def test_a_severity_that_is_not_known_stays_unknown(written: str, severity: Severity) -> None:
    assert finding_of(Severity=written).severity is severity


def test_several_fixed_versions_are_told_apart() -> None:
    assert finding_of(FixedVersion="5.3.21, 6.0.19 ,5.3.21").fixed_versions == ("5.3.21", "6.0.19")
    assert finding_of(FixedVersion="").fixed_versions == ()


def test_every_version_of_cvss_is_kept_and_a_number_that_is_no_score_is_not() -> None:
    old = {"V2Vector": "AV:N", "V2Score": 5.0}
    found = finding_of(CVSS={"ghsa": {**old, "V3Vector": "CVSS:3.0/AV:N", "V3Score": 99, "V40Vector": "CVSS:4.0/AV:N"}})

    assert [(one.version, one.score) for one in found.cvss] == [("4.0", 0.0), ("3.0", None), ("2.0", 5.0)]


def test_the_same_vulnerability_at_two_places_comes_twice_and_at_one_place_once() -> None:
    here, there = {**VULNERABILITY, "PkgPath": "a.jar"}, {**VULNERABILITY, "PkgPath": "b.jar"}

    found = map_findings(results_of(alpine_result(here, there, here))).findings

    assert [one.package.path for one in found] == ["a.jar", "b.jar"]


@pytest.mark.parametrize("missing", ["VulnerabilityID", "PkgName"])
def test_a_vulnerability_that_names_no_id_or_package_is_counted(missing: str) -> None:
    found = map_findings(results_of(alpine_result({**VULNERABILITY, missing: ""})))

    assert (found.findings, found.unreadable) == ((), 1)


def test_what_a_terminal_would_obey_and_what_is_no_link_is_left_out() -> None:
    found = finding_of(Title="a\x1b[31mb\nsecond line", References=["javascript:alert(1)", "https://a.example"])

    assert found.title == "a [31mb"
    assert found.references == ("https://a.example",)


def test_a_layer_that_is_no_digest_is_none_and_the_year_one_is_no_date() -> None:
    found = finding_of(Layer={"Digest": "canary"}, PublishedDate="0001-01-01T00:00:00Z")

    assert (found.package.layer, found.published) == (None, None)


@pytest.mark.parametrize(
    ("kind", "name", "purl"),
    [
        pytest.param("debian", "bash", "pkg:deb/debian/bash@1", id="deb"),
        pytest.param("alma", "bash", "pkg:rpm/alma/bash@1", id="rpm"),
        pytest.param("wolfi", "bash", "pkg:apk/wolfi/bash@1", id="apk"),
        pytest.param("jar", "org.x:core", "pkg:maven/org.x/core@1", id="maven"),
        pytest.param("node-pkg", "@babel/core", "pkg:npm/%40babel/core@1", id="npm"),
        pytest.param("gobinary", "github.com/a/b", "pkg:golang/github.com/a/b@1", id="go"),
        pytest.param("julia", "x", "pkg:generic/x@1", id="a kind that is not known"),
    ],
)
def test_a_package_without_a_purl_gets_one(kind: str, name: str, purl: str) -> None:
    assert make_purl(kind, name, "1") == purl


def test_a_secret_is_told_by_its_rule_and_place_alone() -> None:
    secret = {
        "RuleID": "github-pat",
        "Title": "GitHub Personal Access Token",
        "Severity": "CRITICAL",
        "StartLine": 3,
        "Match": "token=canary",
        "Code": {"Lines": [{"Content": "canary"}]},
    }
    (found,) = map_secrets(results_of({"Target": "/app/.env", "Class": "secret", "Secrets": [secret]}))

    assert (found.rule, found.path, found.line, found.severity) == ("github-pat", "app/.env", 3, Severity.CRITICAL)
    assert "canary" not in found.model_dump_json()


@pytest.mark.parametrize(
    ("status", "passed"),
    [
        pytest.param("FAIL", False, id="fail"),
        pytest.param("PASS", True, id="pass"),
        pytest.param("EXCEPTION", None, id="exception"),
        pytest.param("", None, id="none"),
    ],
)
def test_a_check_that_did_not_decide_did_not_pass(status: str, passed: bool | None) -> None:
    check = {"ID": "DS002", "AVDID": "AVD-DS-0002", "Title": "root", "Severity": "HIGH", "Status": status}
    (found,) = map_checks(results_of({"Target": "Dockerfile", "Class": "config", "Misconfigurations": [check]}))

    assert (found.id, found.passed, found.severity) == ("DS-0002", passed, Severity.HIGH)
    assert found.vendor["file"] == "Dockerfile"


@pytest.mark.parametrize(
    ("category", "passed"),
    [
        pytest.param("forbidden", False, id="forbidden"),
        pytest.param("restricted", False, id="restricted"),
        pytest.param("notice", True, id="notice"),
        pytest.param("permissive", True, id="permissive"),
        pytest.param("unencumbered", True, id="unencumbered"),
        pytest.param("reciprocal", None, id="reciprocal"),
        pytest.param("unknown", None, id="unknown"),
    ],
)
def test_a_licence_passes_by_its_category(category: str, passed: bool | None) -> None:
    licence = {"Name": "GPL-3.0", "PkgName": "bash", "Category": category, "Severity": "HIGH"}
    (found,) = map_checks(results_of({"Target": "OS Packages", "Class": "license", "Licenses": [licence]}))

    assert (found.id, found.passed) == ("license:GPL-3.0:bash", passed)


# --- coverage ---------------------------------------------------------------------------------------------


def coverage_of(*results: Mapping[str, Any], made: timedelta | None = timedelta(hours=1), **options: Any) -> Coverage:
    metadata = options.pop("metadata", {})
    report = parse_report(json.dumps(report_with(*results, **metadata)).encode())
    database = Database(NOW - made if made is not None else None)
    unreadable = options.pop("unreadable", 0)
    return describe_coverage(report, TrivyConfig.model_validate(options), database, NOW, unreadable=unreadable)


def libraries(kind: str, packages: int) -> dict[str, Any]:
    return {"Target": kind, "Class": "lang-pkgs", "Type": kind, "Packages": [{"ID": "a"}] * packages}


def test_a_distribution_and_its_libraries_are_covered() -> None:
    coverage = coverage_of(alpine_result(), libraries("gobinary", 3), libraries("gobinary", 2))

    assert coverage.is_complete
    assert [(item.subject, item.packages) for item in coverage.items] == [("alpine 3.20.1", 1), ("gobinary", 5)]


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        pytest.param({"OS": {"Family": "none", "Name": ""}}, "no distribution was recognised", id="none"),
        pytest.param({"OS": None}, "no distribution was recognised", id="no word of it"),
        pytest.param({}, "no advisories for this distribution", id="a distribution without results"),
    ],
)
def test_a_report_without_results_is_not_clean(metadata: dict[str, Any], said: str) -> None:
    (item,) = coverage_of(metadata=metadata).items

    assert item.status is CoverageStatus.NOT_COVERED
    assert said in item.detail


def test_libraries_without_a_distribution_leave_a_gap() -> None:
    coverage = coverage_of(libraries("gobinary", 1), metadata={"OS": {"Family": "none", "Name": ""}})

    assert [item.subject for item in coverage.gaps] == ["operating system"]


def test_a_distribution_without_packages_is_a_gap() -> None:
    result = {**alpine_result(), "Packages": []}

    assert [item.detail for item in coverage_of(result).gaps] == ["no package of the distribution was found"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"made": timedelta(days=8)}, "8 days old", id="a stale database"),
        pytest.param({"made": None}, "age of the vulnerability database is not known", id="a database of no age"),
        pytest.param({"metadata": {"OS": ENDED}}, "end of support", id="a distribution past its end"),
        pytest.param({"ignore_unfixed": True}, "without a fix are left out", id="unfixed"),
        pytest.param({"unreadable": 2}, "2 vulnerabilities in the report name no id", id="unreadable"),
    ],
)
def test_what_is_in_doubt_makes_coverage_partial_and_says_why(options: dict[str, Any], said: str) -> None:
    (item,) = coverage_of(alpine_result(VULNERABILITY), **options).items

    assert item.status is CoverageStatus.PARTIAL
    assert said in item.detail


@pytest.mark.parametrize(
    ("options", "subject"),
    [
        pytest.param({"pkg_types": ["library"]}, "alpine 3.20.1", id="distribution"),
        pytest.param({"pkg_types": ["os"]}, "libraries", id="libraries"),
        pytest.param({"scanners": ["secret"]}, "vulnerabilities", id="vulnerabilities"),
    ],
)
def test_what_the_configuration_leaves_out_is_not_covered(options: dict[str, Any], subject: str) -> None:
    gaps = coverage_of(alpine_result(VULNERABILITY), **options).gaps

    assert [(item.subject, item.detail) for item in gaps] == [(subject, "left out by the configuration")]
