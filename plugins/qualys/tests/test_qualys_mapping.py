"""Qualys' words into ours: nothing lost, nothing made worse or better than it is."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scanguard_qualys.detection import Control, Detection, Software
from scanguard_qualys.mapping import severity_of, to_checks, to_findings
from scanguard_qualys.report import Compliance, ImageRecord, Results, Vulnerability, VulnerabilityPage, read

from scanguard.errors import ScannerOutputError, ScannerUnavailableError
from scanguard.model.severity import Severity

SAMPLE: dict[str, Any] = {
    "qid": 376157,
    "title": "OpenSSL Security Update",
    "cveids": ["CVE-2022-0778", "CVE-2022-1292"],
    "severity": 5,
    "customerSeverity": 5,
    "qdsScore": 62,
    "cvssInfo": {"baseScore": "5.0", "temporalScore": "3.9", "accessVector": "Network"},
    "cvss3Info": {"baseScore": "7.5", "temporalScore": "6.7"},
    "patchAvailable": True,
    "published": 1647345600000,
    "firstFound": "1738660042992",
    "lastFound": "1738827505526",
    "typeDetected": "CONFIRMED",
    "status": None,
    "risk": 50,
    "category": "Ubuntu",
    "product": ["openssl"],
    "threatIntel": {"activeAttacks": None, "publicExploit": True, "easyExploit": None},
    "software": [
        {"name": "openssl", "version": "1.1.1f-1ubuntu2", "fixVersion": "1.1.1f-1ubuntu2.12", "packagePath": None},
        {"name": "libssl1.1", "version": "1.1.1f-1ubuntu2", "fixVersion": None},
    ],
    "result": '#table cols="3"',
    "isExempted": False,
    "vendorData": {},
    "a field of tomorrow": [1],
}


def detected(**changes: Any) -> Detection:
    return Vulnerability.model_validate({**SAMPLE, **changes}).detection()


def test_one_qid_with_many_cves_and_packages_is_flattened_and_stays_a_reference_on_each() -> None:
    findings = to_findings([detected()])
    assert {(one.id, one.package.name) for one in findings} == {
        ("CVE-2022-0778", "openssl"),
        ("CVE-2022-1292", "openssl"),
        ("CVE-2022-0778", "libssl1.1"),
        ("CVE-2022-1292", "libssl1.1"),
    }
    for one in findings:
        assert one.aliases == (), "a QID bundles: it joins nothing"
        assert one.references == ("QID-376157",)
        assert one.vendor["qid"] == 376157
        assert one.vendor["qds"] == 62
        assert one.vendor["threat_intel"] == {"publicExploit": True}
        assert [(rating.version, rating.score) for rating in one.cvss] == [("3", 7.5), ("2", 5.0)]
        assert one.published == datetime(2022, 3, 15, 12, tzinfo=UTC)
    assert findings[0].fixed_versions == ("1.1.1f-1ubuntu2.12",)


def test_a_qid_without_a_cve_or_a_package_is_kept_under_its_own_number() -> None:
    (finding,) = to_findings([detected(cveids=None, software=None, product=None)])
    assert (finding.id, finding.package.name) == ("QID-376157", "QID 376157")
    (finding,) = to_findings([detected(cveids=[], software=[], product=["openssl"])])
    assert finding.package.name == "openssl"


@pytest.mark.parametrize(
    ("own", "customers", "expected"),
    [
        pytest.param(5, None, Severity.CRITICAL, id="5"),
        pytest.param(4, None, Severity.HIGH, id="4-which-qualys-calls-critical"),
        pytest.param(3, None, Severity.MEDIUM, id="3"),
        pytest.param(2, None, Severity.LOW, id="2"),
        pytest.param(1, None, Severity.NEGLIGIBLE, id="1"),
        pytest.param(5, 2, Severity.LOW, id="the-customers-own-goes-first"),
        pytest.param("4", "", Severity.HIGH, id="a-number-as-text"),
        pytest.param(None, None, Severity.UNKNOWN, id="missing-stays-unknown"),
        pytest.param(9, 0, Severity.UNKNOWN, id="out-of-range-stays-unknown"),
        pytest.param("HIGH", None, Severity.UNKNOWN, id="a-word-stays-unknown"),
    ],
)
def test_severity(own: object, customers: object, expected: Severity) -> None:
    assert severity_of(detected(severity=own, customerSeverity=customers))[0] is expected


def test_information_is_marked_and_exemptions_are_kept() -> None:
    (finding, *_) = to_findings([detected(typeDetected="INFORMATION", isExempted=True)])
    assert finding.informational
    assert finding.exempted
    assert finding.vendor["exempted"] is True
    (finding, *_) = to_findings([detected(typeDetected="POTENTIAL")])
    assert not finding.informational
    assert finding.vendor["type_detected"] == "POTENTIAL"


def test_the_same_finding_said_twice_is_one() -> None:
    assert len(to_findings([detected(), detected()])) == 4


def test_more_findings_than_anybody_can_read_are_refused() -> None:
    many = tuple(Software(f"package-{number}") for number in range(1_000))
    with pytest.raises(ScannerOutputError, match="more than 500,000"):
        to_findings(Detection(qid, cves=("CVE-1",), software=many) for qid in range(1, 600))


def test_controls_keep_what_was_not_decided() -> None:
    passed, failed, odd = to_checks(
        [Control("1", "a", True, "HIGH"), Control("2", "b", False, "low"), Control("3", "c", None, "?")]
    )
    assert (passed.passed, passed.severity) == (True, Severity.HIGH)
    assert (failed.passed, failed.severity) == (False, Severity.LOW)
    assert (odd.passed, odd.severity) == (None, Severity.UNKNOWN)


@pytest.mark.parametrize(
    ("body", "controls"),
    [
        pytest.param({"data": [{"controlId": 1, "posture": "PASS"}]}, 1, id="under-data"),
        pytest.param([{"cid": "1", "status": "FAILED"}], 1, id="a-bare-list"),
        pytest.param({"details": None}, 0, id="null"),
    ],
)
def test_compliance_is_read_in_the_forms_it_may_have(body: object, controls: int) -> None:
    assert len(read(Compliance, json.dumps(body).encode(), "x", list_as="controls").controls) == controls


def test_a_vulnerability_without_a_qid_makes_the_page_unreadable() -> None:
    with pytest.raises(ScannerOutputError, match=r"details\.1\.qid"):
        read(VulnerabilityPage, json.dumps({"details": [SAMPLE, {**SAMPLE, "qid": None}]}).encode(), "a page")


def test_a_page_without_its_list_is_no_empty_page() -> None:
    with pytest.raises(ScannerOutputError, match="details"):
        read(VulnerabilityPage, b"{}", "a page")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
ODD = st.dictionaries(st.sampled_from(list(SAMPLE)), JUNK, max_size=6).map(lambda changes: {**SAMPLE, **changes})


@pytest.mark.parametrize("model", [VulnerabilityPage, Results, Compliance, ImageRecord])
@given(st.binary(max_size=200) | JUNK.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_answer_or_the_right_error(model: Any, data: bytes) -> None:
    with contextlib.suppress(ScannerOutputError, ScannerUnavailableError):
        assert isinstance(read(model, data, "an answer", list_as="details"), model)


@given(st.lists(ODD, max_size=3))
def test_odd_fields_never_lose_a_qid(details: list[Any]) -> None:
    try:
        page = read(VulnerabilityPage, json.dumps({"details": details}).encode(), "a page")
    except ScannerOutputError:
        return
    findings = to_findings(one.detection() for one in page.details)
    assert {finding.vendor["qid"] for finding in findings} == {one.qid for one in page.details}
    for finding in findings:
        assert json.dumps(dict(finding.vendor), allow_nan=True)
