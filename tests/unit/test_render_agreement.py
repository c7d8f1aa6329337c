"""Who says what, where several scanners looked."""

from __future__ import annotations

from scanguard.engine.merge import merge
from scanguard.model.finding import ComplianceCheck, Finding, Package, SecretFinding
from scanguard.model.image import Platform
from scanguard.model.merged import MergedReport
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport
from scanguard.model.severity import Severity
from scanguard.model.verdict import Outcome
from scanguard.render.agreement import agreement_table
from scanguard.render.document import words
from scanguard.render.explain import explain_document
from scanguard.render.verdict import verdict_document
from scanguard.testing.samples import NOW, sample_image_verdict, sample_verdict

DIGEST = "sha256:" + "c" * 64


def report(*found: tuple[str, str], **more: object) -> ScanReport:
    findings = tuple(
        Finding(
            id=name,
            package=Package(purl="pkg:pypi/a@1", name="a", version="1", ecosystem="PyPI"),
            severity=Severity(severity),
        )
        for name, severity in found
    )
    return ScanReport(
        digest=DIGEST,
        platform=Platform(),
        scanner=ScannerInfo(tool="t", version="1"),
        started_at=NOW,
        finished_at=NOW,
        findings=findings,
        coverage=Coverage(items=(CoverageItem(subject="PyPI", status=CoverageStatus.COVERED),)),
    ).model_copy(update=more)


def merged() -> MergedReport:
    return merge(
        DIGEST,
        {
            "qualys": report(("CVE-1", "CRITICAL"), ("CVE-2", "HIGH"), ("CVE-3", "LOW")),
            "trivy": report(("CVE-1", "MEDIUM"), ("CVE-2", "HIGH"), ("CVE-4", "LOW")),
            "osv": report(("CVE-1", "UNKNOWN")),
        },
    )


def rows(report: MergedReport) -> list[list[str]]:
    table = agreement_table(report)
    assert table is not None
    return [[span.text for span in row] for row in table.rows]


def test_what_all_agree_on_stands_before_what_some_and_what_only_one_reports() -> None:
    assert [row[:2] for row in rows(merged())] == [
        ["all 3", "1"],
        ["qualys and trivy", "1"],
        ["only qualys", "1"],
        ["only trivy", "1"],
    ]
    assert rows(merged())[0] == ["all 3", "1", "1", "0", "0"]


def test_two_scanners_that_agree_are_both() -> None:
    both = merge(DIGEST, {"a": report(("CVE-1", "LOW")), "b": report(("CVE-1", "LOW"))})
    assert rows(both) == [["both", "1", "1"]]


def test_one_scanner_agrees_with_nobody() -> None:
    assert agreement_table(merge(DIGEST, {"a": report(("CVE-1", "LOW"))})) is None
    assert agreement_table(merge(DIGEST, {"a": report(), "b": report()})) is None
    assert agreement_table(None) is None


def test_scan_and_explain_show_it_and_explain_says_who_rates_a_finding_differently() -> None:
    joined = merged()
    image = sample_image_verdict(joined, Outcome.FAIL)
    verdict = sample_verdict(images=(image,))
    reports = {str(image.merged): joined}

    assert "only qualys" in words(verdict_document(verdict, reports, now=NOW))
    story = words(explain_document(verdict, reports, now=NOW))
    assert "only trivy" in story
    assert "CVE-1 in a: critical (qualys), medium (trivy), unknown (osv); qualys counts" in story
    assert "CVE-2 in a:" not in story, "they agree on that one"


def test_credentials_and_failed_checks_are_told() -> None:
    checks = (
        ComplianceCheck(id="CIS-1", title="runs as root", passed=False),
        ComplianceCheck(id="CIS-2", passed=True),
        ComplianceCheck(id="CIS-3", passed=None),
    )
    secrets = (SecretFinding(rule="aws-key", path="app/.env", line=3),)
    one = merge(DIGEST, {"a": report(compliance=checks, secrets=secrets)})
    image = sample_image_verdict(one, Outcome.WARN)
    told = words(verdict_document(sample_verdict(images=(image,)), {str(image.merged): one}, now=NOW))
    assert "1 credential left in the image: aws-key in app/.env:3" in told
    assert "1 check of 3 failed: runs as root" in told


def test_excepted_and_informational_findings_are_marked() -> None:
    found = report(("CVE-1", "HIGH"), ("CVE-2", "HIGH"))
    first, second = found.findings
    marked = (first.model_copy(update={"exempted": True}), second.model_copy(update={"informational": True}))
    one = merge(DIGEST, {"a": found.model_copy(update={"findings": marked})})
    image = sample_image_verdict(one, Outcome.PASS)
    told = words(verdict_document(sample_verdict(images=(image,)), {str(image.merged): one}, now=NOW))
    assert "CVE-1 excepted" in told
    assert "CVE-2 information" in told
