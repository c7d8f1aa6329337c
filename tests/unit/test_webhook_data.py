"""What a receiver is told: the important first, what is missing said, nothing personal, nothing unreadable."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from scanguard.builtin.webhook_config import WebhookConfig
from scanguard.builtin.webhook_message import build_message
from scanguard.hooks import Notice
from scanguard.model.finding import Kev
from scanguard.model.merged import MergedFinding, MergedReport
from scanguard.model.verdict import Outcome, Reason
from scanguard.testing.contracts.delivery import sample_notice
from scanguard.testing.samples import (
    failed_scanner,
    sample_finding,
    sample_image_verdict,
    sample_report,
    sample_verdict,
)


def data_of(notice: Notice, **options: Any) -> dict[str, Any]:
    config = WebhookConfig.model_validate({"url": "https://h.example", "unsigned": True, **options})
    data: dict[str, Any] = json.loads(build_message(notice, config).body, parse_constant=pytest.fail)["data"]
    return data


def many(number: int, severity: str = "LOW", title: str = "") -> list[MergedFinding]:
    return [
        sample_finding(f"CVE-{severity}-{n}", severity, "p", installed="1", title=title or "t" * 200)
        for n in range(number)
    ]


def notice_of(report: MergedReport, **changes: Any) -> Notice:
    image = sample_image_verdict(report, Outcome.FAIL, **changes)
    return Notice("k", sample_verdict(images=[image]), {str(image.merged): report})


def test_a_summary_has_the_top_findings_and_exact_numbers() -> None:
    data = data_of(sample_notice(), max_findings=3)
    assert data["counts"] == {"CRITICAL": 2, "HIGH": 2, "MEDIUM": 2, "LOW": 1, "NEGLIGIBLE": 1, "UNKNOWN": 1}
    assert data["fixable"] == 6
    assert [finding["id"] for finding in data["findings"]] == ["CVE-2021-3711", "CVE-2022-1292", "CVE-2019-3462"]
    assert (data["total"]["findings"], data["omitted"]["findings"], data["truncated"]) == (9, 6, True)
    assert data["reports"] == {}


def test_a_summary_that_leaves_nothing_out_says_so() -> None:
    data = data_of(sample_notice())
    assert len(data["findings"]) == 9
    assert data["truncated"] is False


def test_what_made_the_verdict_comes_before_what_is_worse() -> None:
    report = sample_report(findings=[*many(30, "CRITICAL"), *many(2, "LOW")])
    cited = Reason(policy="threshold", outcome=Outcome.FAIL, message="exploited", findings=("CVE-LOW-1",))
    data = data_of(notice_of(report, reasons=(cited,)), max_findings=2)
    assert [finding["id"] for finding in data["findings"]] == ["CVE-LOW-1", "CVE-CRITICAL-0"]


def test_of_equal_severity_the_exploited_comes_first() -> None:
    first, second = many(2, "HIGH")
    exploited = second.finding.model_copy(update={"kev": Kev(added=date(2024, 1, 1))})
    report = sample_report(findings=[first, second.model_copy(update={"finding": exploited})])
    assert [one["known_exploited"] for one in data_of(notice_of(report))["findings"]] == [True, False]


def test_the_full_reports_come_besides_as_they_are_stored() -> None:
    notice = sample_notice()
    ((name, report),) = notice.reports.items()
    data = data_of(notice, detail="full")
    assert MergedReport.model_validate(data["reports"][name]) == report
    assert data["images"][0]["report"] == name
    assert data["truncated"] is False


def test_past_the_limit_full_reports_lose_the_least_severe_findings_first() -> None:
    report = sample_report(findings=[*many(500, "LOW"), *many(3, "CRITICAL"), *many(500, "MEDIUM")])
    data = data_of(notice_of(report), detail="full", max_bytes=100_000)
    (kept,) = data["reports"].values()
    severities = [merged["finding"]["severity"] for merged in kept["findings"]]
    assert severities[:4] == ["CRITICAL", "CRITICAL", "CRITICAL", "MEDIUM"]
    assert "LOW" not in severities
    assert data["total"]["report_findings"] == 1003
    assert data["omitted"]["report_findings"] == 1003 - len(severities) > 500
    assert data["truncated"] is True
    assert (data["counts"]["LOW"], data["counts"]["MEDIUM"]) == (500, 500)


def test_one_huge_finding_does_not_crowd_out_the_others() -> None:
    huge = many(1, "CRITICAL", title="x" * 90_000)
    data = data_of(notice_of(sample_report(findings=[*huge, *many(5)])), detail="full", max_bytes=100_000)
    (kept,) = data["reports"].values()
    assert len(kept["findings"]) == 5
    assert data["omitted"]["report_findings"] == 1
    assert len(data["findings"]) == 6, "the summary's texts are cut, so it has them all"


def test_failing_images_come_first_when_not_all_fit() -> None:
    images = [
        sample_image_verdict(None, Outcome.PASS if n else Outcome.FAIL, name=f"image-{n}-" + "x" * 200)
        for n in reversed(range(200))
    ]
    data = data_of(Notice("k", sample_verdict(images=images), {}), max_bytes=40_000)
    assert data["images"][0]["outcome"] == "fail"
    assert data["total"]["images"] == 200
    assert data["omitted"]["images"] == 200 - len(data["images"]) > 0


def test_an_image_nobody_looked_at_is_not_one_without_findings() -> None:
    scanners = (failed_scanner("down", "ScannerUnavailableError"),)
    image = sample_image_verdict(None, Outcome.UNKNOWN, image=None, error="no such tag", scanners=scanners)
    data = data_of(Notice("k", sample_verdict(Outcome.UNKNOWN, images=[image]), {}))
    (shown,) = data["images"]
    assert (shown["digest"], shown["report"], shown["is_covered"]) == (None, None, False)
    assert (shown["error"], shown["scanners"][0]["error"]) == ("no such tag", "down")
    assert data["outcome"] == "unknown"


def test_what_was_not_looked_at_is_said() -> None:
    data = data_of(sample_notice())
    assert [(gap["subject"], gap["status"]) for gap in data["gaps"]] == [
        ("Go binaries", "not_covered"),
        ("PyPI", "partial"),
    ]
    assert data["images"][0]["is_covered"] is False
    assert data_of(notice_of(sample_report(gaps=False)))["images"][0]["is_covered"] is True


def test_findings_of_a_report_that_is_lost_are_counted_as_left_out() -> None:
    notice = sample_notice()
    data = data_of(Notice("k", notice.verdict, {}), detail="full")
    assert data["counts"]["CRITICAL"] == 2
    assert (data["omitted"]["findings"], data["omitted"]["reports"], data["truncated"]) == (9, 1, True)


def test_two_containers_of_one_image_count_its_findings_once() -> None:
    report = sample_report()
    images = [sample_image_verdict(report, Outcome.FAIL, container=name) for name in ("a", "b")]
    data = data_of(Notice("k", sample_verdict(images=images), {str(images[0].merged): report}))
    assert data["total"]["findings"] == len(data["findings"]) == 9
    assert [image["container"] for image in data["images"]] == ["a", "b"]


def test_a_reason_of_an_image_is_not_told_again_as_the_deployments() -> None:
    notice = sample_notice()
    own = Reason(policy="scanguard", outcome=Outcome.FAIL, message="of the deployment")
    verdict = notice.verdict.model_copy(update={"reasons": (*notice.verdict.images[0].reasons, own)})
    reasons = data_of(Notice("k", verdict, notice.reports))["reasons"]
    assert [(reason["container"], reason["message"]) for reason in reasons] == [
        (None, "of the deployment"),
        ("web", "2 findings of severity CRITICAL"),
    ]


def test_who_deployed_is_not_told() -> None:
    notice = sample_notice()
    actor = notice.verdict.event.actor
    assert actor
    for detail in ("summary", "full"):
        assert actor not in json.dumps(data_of(notice, detail=detail))


def test_a_number_that_json_does_not_have_becomes_null() -> None:
    (merged,) = many(1)
    finding = merged.finding.model_copy(update={"vendor": {"qds": float("nan"), "list": [float("inf"), 1]}})
    report = sample_report(findings=[merged.model_copy(update={"finding": finding})])
    data = data_of(notice_of(report), detail="full")
    (kept,) = data["reports"].values()
    assert kept["findings"][0]["finding"]["vendor"] == {"qds": None, "list": [None, 1]}


def test_a_resource_id_longer_than_a_header_is_whole_in_the_data() -> None:
    notice = sample_notice()
    long = "/subscriptions/" + "é" * 2000
    deployment = notice.verdict.deployment.model_copy(update={"resource_id": long})
    notice = Notice("k", notice.verdict.model_copy(update={"deployment": deployment}), {})
    config = WebhookConfig(url="https://h.example", unsigned=True)
    event = json.loads(build_message(notice, config).body)
    assert event["data"]["deployment"]["resource_id"] == long
    assert long.startswith(event["subject"])
    assert len(event["subject"]) < 200
