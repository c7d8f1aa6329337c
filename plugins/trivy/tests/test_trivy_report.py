"""Real reports are read with everything that is in them; anything else becomes the right error."""

from __future__ import annotations

import contextlib
import gzip
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_trivy import remote_image, report_with
from hypothesis import given
from hypothesis import strategies as st
from scanguard_trivy.checks import map_checks, map_secrets
from scanguard_trivy.identity import confirm_image
from scanguard_trivy.mapping import map_findings
from scanguard_trivy.report import TrivyReport, parse_report

from scanguard.errors import ScannerOutputError

REPORTS = Path(__file__).parent / "data" / "reports"
EXPECTED: Mapping[str, Any] = json.loads((REPORTS / "expected.json").read_text(encoding="utf-8"))
KEYS = st.sampled_from(["Class", "Type", "Packages", "Vulnerabilities", "Licenses", "Secrets", "Name", "CVSS"])
EVERY_REPORT = [pytest.param(name, counts, id=name) for name, counts in EXPECTED.items()]


def read(name: str) -> TrivyReport:
    return parse_report(gzip.decompress((REPORTS / f"{name}.gz").read_bytes()))


def test_every_report_that_was_kept_is_expected() -> None:
    kept = {path.name.removesuffix(".gz") for path in REPORTS.glob("*.gz")}

    assert kept == {*EXPECTED, "defectdojo-legacy_no_vuln.json"}
    assert sum(counts["vulnerabilities"] for counts in EXPECTED.values()) == 95


@pytest.mark.parametrize(("name", "counts"), EVERY_REPORT)
def test_every_vulnerability_of_a_real_report_becomes_a_finding(name: str, counts: Mapping[str, Any]) -> None:
    found = map_findings(read(name).results or ())

    assert found.unreadable == 0
    assert len(found.findings) == counts["vulnerabilities"]
    assert Counter(str(finding.severity) for finding in found.findings) == counts["by_severity"]
    assert Counter(finding.vendor.get("status", "") for finding in found.findings) == counts["by_status"]
    assert sum(finding.is_fixable for finding in found.findings) == counts["with_fixed_version"]
    assert all(finding.package.purl.startswith("pkg:") for finding in found.findings)


@pytest.mark.parametrize(("name", "counts"), EVERY_REPORT)
def test_every_secret_licence_and_failed_check_of_a_real_report_is_kept(name: str, counts: Mapping[str, Any]) -> None:
    results = read(name).results or ()
    checks = map_checks(results)
    licences = [check for check in checks if check.id.startswith("license:")]
    passed = Counter(check.passed for check in checks if check not in licences)

    assert len(map_secrets(results)) == counts["secrets"]
    assert len(licences) == counts["licenses"]
    assert passed[False] == counts["misconfigurations_by_status"].get("FAIL", 0)
    assert passed.total() == sum(counts["misconfigurations_by_status"].values())


def test_a_document_that_is_null_is_no_clean_image() -> None:
    with pytest.raises(ScannerOutputError, match="another shape"):
        read("defectdojo-legacy_no_vuln.json")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "no JSON", id="nothing"),
        pytest.param(b"<html>canary</html>", "no JSON", id="another format"),
        pytest.param(b'{"SchemaVersion":2,"Results":[{"Targ', "no JSON", id="cut off"),
        pytest.param(b'{"SchemaVersion":2,"Results":[{"X":' + b"[" * 500_000, "no JSON", id="deep"),
        pytest.param(b'{"SchemaVersion":2,"ArtifactName":"\xff"}', "no JSON", id="no UTF-8"),
        pytest.param(b'[{"Target":"canary"}]', "another shape", id="the list of schema 1"),
        pytest.param(b'{"apiVersion":"v1","kind":"List"}', "another shape", id="no schema version"),
        pytest.param(b'{"SchemaVersion":3}', "version 3", id="a newer schema"),
        pytest.param(b'{"SchemaVersion":2,"Results":"canary"}', "at $.Results", id="no list"),
        pytest.param(
            b'{"SchemaVersion":2,"Results":[{"Vulnerabilities":[{"Title":7}]}]}', "Vulnerabilities", id="no text"
        ),
        pytest.param(
            b'{"SchemaVersion":2,"Results":[{"Vulnerabilities":[{"PublishedDate":"canary"}]}]}', "shape", id="no date"
        ),
    ],
)
def test_what_is_no_report_is_refused_without_repeating_it(data: bytes, said: str) -> None:
    with pytest.raises(ScannerOutputError) as caught:
        parse_report(data)

    assert said in str(caught.value)
    assert "canary" not in str(caught.value)


VALUES = st.recursive(
    st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)
)


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps({"SchemaVersion": 2, "Results": value}).encode()))
def test_any_bytes_give_a_report_or_the_error_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(ScannerOutputError):
        report = parse_report(data)
        assert report.schema_version == 2
        map_findings(report.results or ())
        map_checks(report.results or ())
        map_secrets(report.results or ())


def confirmed(**metadata: Any) -> bool:
    document = {**report_with(**metadata), "ArtifactName": metadata.pop("ArtifactName", "")}
    return confirm_image(parse_report(json.dumps(document).encode()), remote_image())


def test_a_report_that_names_the_digest_is_confirmed() -> None:
    image = remote_image()

    assert confirmed(RepoDigests=[image.source], ImageID=image.config_digest)


def test_a_report_that_names_nothing_is_not_confirmed() -> None:
    assert not confirmed()


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param({"RepoDigests": ["x@sha256:" + "0" * 64]}, id="digest"),
        pytest.param({"ImageID": "sha256:" + "0" * 64}, id="image ID"),
    ],
)
def test_a_report_that_names_another_image_is_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(ScannerOutputError, match="names another"):
        confirmed(**metadata)


def test_a_report_about_something_else_is_refused() -> None:
    with pytest.raises(ScannerOutputError, match="not about a container image"):
        confirm_image(read("other-npm.json"), remote_image())
