"""Real reports of every format are read whole, with the expected counts; everything else is refused."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scanguard_reports.formats.detect import FORMATS, read_report
from scanguard_reports.parsed import Parsed

from scanguard.errors import ScannerOutputError
from scanguard.model.severity import Severity

DATA = Path(__file__).parent / "data"

# file, findings, checks, secrets
COUNTS = [
    ("trivy/alpine-39.json", 6, 0, 0),
    ("trivy/alpine-distroless.json", 1, 0, 0),
    ("trivy/debian-buster.json", 2, 0, 0),
    ("trivy/distroless-base.json", 4, 0, 0),
    ("trivy/ubi-7.json", 1, 0, 0),
    ("trivy/cvss_severity_source.json", 2, 0, 0),
    ("trivy/license_scheme.json", 0, 19, 0),
    ("trivy/misconfigurations_and_secrets.json", 2, 1, 2),
    ("trivy/scheme_2_no_vuln.json", 0, 0, 0),
    ("grype/TestEmptyJsonPresenter.golden", 0, 0, 0),
    ("grype/TestJsonDirsPresenter.golden", 2, 0, 0),
    ("grype/TestJsonImgsPresenter.golden", 2, 0, 0),
    ("grype/check_all_fields.json", 6, 0, 0),
    ("grype/fix_available.json", 1, 0, 0),
    ("grype/fix_not_available.json", 1, 0, 0),
    ("grype/many_vulns4.json", 9, 0, 0),
    ("grype/no_vuln.json", 0, 0, 0),
    ("snyk/all-projects_many_vulns.json", 3, 0, 0),
    ("snyk/all-projects_no_vulns.json", 0, 0, 0),
    ("snyk/all-projects_one_vuln.json", 1, 0, 0),
    ("snyk/single_project_no_vulns.json", 0, 0, 0),
    ("snyk/single_project_one_vuln.json", 1, 0, 0),
    ("snyk/single_project_one_vuln_with_ampersands.json", 1, 0, 0),
    ("snyk/snykcontainer_issue_epss.json", 13, 0, 0),
    ("sarif/TestSarifPresenter_directory.golden", 2, 0, 0),
    ("sarif/TestSarifPresenter_image.golden", 2, 0, 0),
    ("sarif/appendix_k.sarif", 0, 1, 0),
    ("sarif/appendix_k1.sarif", 0, 0, 0),
    ("sarif/appendix_k1_double.sarif", 0, 0, 0),
    ("sarif/appendix_k2.sarif", 0, 1, 0),
    ("sarif/appendix_k3.sarif", 0, 1, 0),
    ("sarif/appendix_k4.sarif", 0, 1, 0),
    ("sarif/bash-report.sarif", 0, 27, 0),
    ("sarif/bash-report-fabricated-no-internal-dupes.sarif", 0, 5, 0),
    ("sarif/bash-report-fabricated-no-internal-dupes-subset.sarif", 0, 4, 0),
    ("sarif/bash-report-subset-same-hash-code-same-unique-id.sarif", 0, 4, 0),
    ("sarif/dockle_0_3_15.sarif", 0, 4, 0),
    ("sarif/no_runs.sarif", 0, 0, 0),
    ("cyclonedx/TestCycloneDxPresenterDir.golden", 2, 0, 0),
    ("cyclonedx/TestCycloneDxPresenterImage.golden", 2, 0, 0),
    ("cyclonedx/log4j.json", 8, 0, 0),
    ("cyclonedx/nested-component-log4j.json", 8, 0, 0),
    ("cyclonedx/valid-vulnerability-1.4.json", 1, 0, 0),
]


def parsed(name: str) -> Parsed:
    return read_report((DATA / name).read_bytes(), name)


def changed(name: str, **changes: Any) -> bytes:
    return json.dumps({**json.loads((DATA / name).read_bytes()), **changes}).encode()


@pytest.mark.parametrize(("name", "findings", "checks", "secrets"), [pytest.param(*one, id=one[0]) for one in COUNTS])
def test_a_real_report_has_the_expected_counts(name: str, findings: int, checks: int, secrets: int) -> None:
    report = parsed(name)
    assert (len(report.findings), len(report.checks), len(report.secrets)) == (findings, checks, secrets)
    assert report.coverage, "every report says how far it looked"


def test_every_sample_is_counted() -> None:
    samples = {str(path.relative_to(DATA)) for path in DATA.glob("*/*")}
    assert samples - {name for name, *_ in COUNTS} == {"trivy/legacy_no_vuln.json"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("trivy/alpine-39.json", {"MEDIUM": 4, "CRITICAL": 2}, id="trivy"),
        pytest.param("grype/check_all_fields.json", {"NEGLIGIBLE": 1, "HIGH": 3, "CRITICAL": 2}, id="grype"),
        pytest.param(
            "snyk/snykcontainer_issue_epss.json", {"LOW": 1, "HIGH": 2, "MEDIUM": 9, "CRITICAL": 1}, id="snyk"
        ),
        pytest.param("cyclonedx/log4j.json", {"CRITICAL": 4, "MEDIUM": 3, "HIGH": 1}, id="cyclonedx"),
        pytest.param("sarif/TestSarifPresenter_image.golden", {"HIGH": 2}, id="sarif"),
    ],
)
def test_severities_are_the_scanners_own(name: str, expected: dict[str, int]) -> None:
    assert Counter(finding.severity.value for finding in parsed(name).findings) == expected


def test_a_trivy_finding_has_everything_the_report_says() -> None:
    finding = next(one for one in parsed("trivy/debian-buster.json").findings if one.severity is Severity.CRITICAL)
    assert finding.id == "CVE-2019-18224"
    assert finding.package.purl.startswith("pkg:deb/debian/libidn2-0@2.0.5-1")
    assert finding.fixed_versions == ("2.0.5-1+deb10u1",)
    assert finding.aliases == (), "DSA-4613-1 bundles"
    assert "DSA-4613-1" in finding.references
    assert {rating.source for rating in finding.cvss} == {"nvd", "redhat"}
    assert finding.vendor == {"status": "fixed"}


def test_no_secret_itself_is_kept() -> None:
    text = (DATA / "trivy/misconfigurations_and_secrets.json").read_text(encoding="utf-8")
    report = parsed("trivy/misconfigurations_and_secrets.json")
    matches = [one["Match"] for result in json.loads(text)["Results"] for one in result.get("Secrets") or []]
    assert matches
    assert not any(match in str(report) for match in matches)


@pytest.mark.parametrize(
    ("changes", "subject", "status"),
    [
        pytest.param({"Results": None}, "alpine 3.14.0", "not_covered", id="no-results"),
        pytest.param({"Results": None, "Metadata": {}}, "packages", "not_covered", id="nothing-recognised"),
        pytest.param(
            {"Metadata": {"OS": {"Family": "alpine", "Name": "3.9", "EOSL": True}}}, "alpine 3.9", "partial", id="ended"
        ),
    ],
)
def test_a_trivy_report_without_vulnerabilities_may_still_not_be_clean(
    changes: dict[str, Any], subject: str, status: str
) -> None:
    report = read_report(changed("trivy/scheme_2_no_vuln.json", **changes), "x")
    assert [(item.subject, item.status.value) for item in report.coverage] == [(subject, status)]


def test_a_bill_of_materials_is_not_taken_for_a_clean_image() -> None:
    empty = read_report(changed("cyclonedx/log4j.json", vulnerabilities=[]), "x")
    assert empty.coverage[0].status.value == "not_covered"
    document = json.loads((DATA / "cyclonedx/log4j.json").read_bytes())
    del document["vulnerabilities"]
    with pytest.raises(ScannerOutputError, match="vulnerabilities"):
        read_report(json.dumps(document).encode(), "x")


def test_an_analysis_exempts_and_drops_nothing() -> None:
    (finding,) = parsed("cyclonedx/valid-vulnerability-1.4.json").findings
    assert finding.exempted
    assert finding.vendor["state"] == "not_affected"
    assert finding.aliases == ("CVE-2018-7489",)
    assert not any(one.exempted for one in parsed("cyclonedx/log4j.json").findings), "in triage is not exempted"


def test_grype_joins_one_cve_and_never_a_bundle() -> None:
    match = json.loads((DATA / "grype/check_all_fields.json").read_bytes())["matches"][0]
    match["vulnerability"]["id"] = "GHSA-aaaa-bbbb-cccc"
    related = match["relatedVulnerabilities"][0]
    for ids, aliases in ((["CVE-2024-1"], ("CVE-2024-1",)), (["CVE-2024-1", "CVE-2024-2"], ())):
        match["relatedVulnerabilities"] = [{**related, "id": one} for one in ids]
        (finding,) = read_report(changed("grype/check_all_fields.json", matches=[match]), "x").findings
        assert finding.aliases == aliases
        assert set(ids) <= {*finding.aliases, *finding.references}


def test_snyk_repeats_are_one_finding_with_every_way() -> None:
    document = json.loads((DATA / "snyk/single_project_one_vuln.json").read_bytes())
    (one,) = document["vulnerabilities"]
    document["vulnerabilities"] = [one, {**one, "from": ["another", "way"]}, {**one, "version": "9"}]
    first, second = read_report(json.dumps(document).encode(), "x").findings
    assert len(first.vendor["from"]) == 2  # type: ignore[arg-type]  # a list
    assert first.package.purl == "pkg:maven/org.apache.santuario/xmlsec@2.1.1"
    assert second.package.version == "9"


def test_snyk_names_source_and_binary_of_a_system_package() -> None:
    finding = next(one for one in parsed("snyk/snykcontainer_issue_epss.json").findings if one.package.source_name)
    assert finding.package.purl.startswith("pkg:deb/debian/")
    assert finding.package.ecosystem == "debian:11"


def test_a_snyk_test_that_failed_is_no_report() -> None:
    with pytest.raises(ScannerOutputError, match="failed"):
        read_report(b'{"ok": false, "error": "no such image", "path": "x"}', "x")


def test_a_sarif_level_is_no_severity() -> None:
    assert all(check.severity is Severity.UNKNOWN for check in parsed("sarif/bash-report.sarif").checks)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "is no JSON", id="empty"),
        pytest.param(b"<html>", "is no JSON", id="html"),
        pytest.param(b"{}", "has no format", id="object"),
        pytest.param(b"null", "has no format", id="null"),
        pytest.param(b"[]", "has no format", id="bare-list"),
        pytest.param(b"[" * 100_000, "is no JSON", id="deep"),
        pytest.param(b'{"SchemaVersion": 1, "ArtifactName": "x"}', "SchemaVersion", id="another-schema"),
        pytest.param(b'{"SchemaVersion":2,"ArtifactName":"x","bomFormat":"CycloneDX"}', "several formats", id="two"),
        pytest.param(b'{"spdxVersion": "SPDX-2.3", "packages": []}', "has no format", id="spdx"),
        pytest.param(b'{"version": "2.0.0", "runs": []}', "version", id="another-sarif"),
        pytest.param((DATA / "trivy/legacy_no_vuln.json").read_bytes(), "has no format", id="trivy-before-schema-2"),
    ],
)
def test_what_is_not_known_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(ScannerOutputError, match=says):
        read_report(data, "reports/x.json")


def test_one_finding_that_cannot_be_read_makes_the_report_unreadable() -> None:
    document = json.loads((DATA / "trivy/alpine-39.json").read_bytes())
    del document["Results"][0]["Vulnerabilities"][3]["VulnerabilityID"]
    with pytest.raises(ScannerOutputError, match=r"Results\.0\.Vulnerabilities\.3\.VulnerabilityID: missing"):
        read_report(json.dumps(document).encode(), "x")


def test_only_the_formats_that_are_wanted_are_taken() -> None:
    data = (DATA / "grype/no_vuln.json").read_bytes()
    assert read_report(data, "x", frozenset({"grype"})).tool == "grype"
    with pytest.raises(ScannerOutputError, match="is a grype report; taken are trivy"):
        read_report(data, "x", frozenset({"trivy"}))


KEYS = [
    "SchemaVersion",
    "ArtifactName",
    "Results",
    "Vulnerabilities",
    "matches",
    "descriptor",
    "ok",
    "bomFormat",
    "runs",
]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["CycloneDX", "2.1.0", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYS, "version"]), inner, max_size=5),
    max_leaves=12,
)


@given(st.binary(max_size=200) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_report_or_the_right_error(data: bytes) -> None:
    with contextlib.suppress(ScannerOutputError):
        assert read_report(data, "x").tool


@pytest.mark.parametrize("name", [pytest.param(f"{kind}", id=kind) for kind in FORMATS])
@given(data=st.data())
def test_a_real_report_with_a_field_changed_is_read_or_refused(name: str, data: st.DataObject) -> None:
    samples = [one for one, *_ in COUNTS if one.startswith(name)]
    document = json.loads((DATA / data.draw(st.sampled_from(samples))).read_bytes())
    place = document[0] if isinstance(document, list) else document
    for _ in range(data.draw(st.integers(0, 4))):
        if not isinstance(place, dict | list) or not place:
            break
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        following = place[key]
        if not isinstance(following, dict | list) or data.draw(st.booleans()):
            place[key] = data.draw(st.sampled_from([None, 7, "x", [], {}, [None], True]))
            break
        place = following
    with contextlib.suppress(ScannerOutputError):
        assert read_report(json.dumps(document).encode(), "x").tool
