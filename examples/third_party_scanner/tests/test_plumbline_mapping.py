"""Their words become ours: nothing unknown becomes harmless, and what was not looked at is said."""

from pathlib import Path

import pytest
from scanguard import CoverageStatus, Severity

from plumbline_service import FOUND, report_on
from scanguard_plumbline.config import PlumblineConfig
from scanguard_plumbline.mapping import map_coverage, map_finding, map_info
from scanguard_plumbline.report import Report, Vulnerability


@pytest.mark.parametrize(
    ("rating", "severity"),
    [
        pytest.param("info", Severity.NEGLIGIBLE, id="lowest"),
        pytest.param("critical", Severity.CRITICAL, id="highest"),
        pytest.param("catastrophic", Severity.UNKNOWN, id="not known"),
    ],
)
def test_a_rating_becomes_a_severity(rating: str, severity: Severity) -> None:
    finding = map_finding(Vulnerability.model_validate({**FOUND, "rating": rating}))

    assert finding.severity is severity
    assert finding.vendor == {"rating": rating}


@pytest.mark.parametrize(
    ("vector", "versions"),
    [
        pytest.param("CVSS:4.0/AV:N", ["4.0"], id="says its version"),
        pytest.param("AV:N/AC:L/Au:N", [], id="does not"),
        pytest.param("", [], id="absent"),
    ],
)
def test_a_vector_is_kept_when_it_says_its_version(vector: str, versions: list[str]) -> None:
    finding = map_finding(Vulnerability.model_validate({**FOUND, "vector": vector}))

    assert [cvss.version for cvss in finding.cvss] == versions


@pytest.mark.parametrize(
    ("packages", "complete", "status"),
    [
        pytest.param(3, True, CoverageStatus.COVERED, id="all of it"),
        pytest.param(3, False, CoverageStatus.PARTIAL, id="some of it"),
        pytest.param(0, False, CoverageStatus.NOT_COVERED, id="nothing of it"),
    ],
)
def test_how_far_it_looked_is_said(packages: int, complete: bool, status: CoverageStatus) -> None:
    examined = {"subject": "npm", "packages": packages, "complete": complete, "note": "no lock file"}
    (item,) = map_coverage(Report.model_validate(report_on("sha256:1", examined=[examined]))).items

    assert (item.subject, item.status, item.detail) == ("npm", status, "no lock file")


def test_an_image_in_which_nothing_was_examined_is_not_covered() -> None:
    assert not map_coverage(Report.model_validate(report_on("sha256:1", examined=[]))).is_complete


def test_the_report_names_the_engine_and_the_age_of_its_database() -> None:
    info = map_info(Report.model_validate(report_on("sha256:1")))

    assert (info.version, str(info.database_updated_at)) == ("3.2.0", "2026-11-22 06:00:00+00:00")


def test_the_readme_lists_every_option() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")

    assert not [name for name in PlumblineConfig.model_fields if f"| `{name}` |" not in text]
