"""The threshold policy, rule by rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from scanguard.builtin.threshold import ThresholdConfig, ThresholdPolicy
from scanguard.hooks import PolicyInput
from scanguard.model.finding import SecretFinding
from scanguard.model.merged import MergedFinding, MergedReport
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus
from scanguard.model.verdict import Outcome, PolicyDecision, ScannerOutcome
from scanguard.testing.contexts import make_context
from scanguard.testing.samples import (
    NOW,
    failed_scanner,
    sample_finding,
    sample_image_verdict,
    sample_report,
    sample_scanner,
    sample_verdict,
)

AS_IN_THE_DOCUMENTATION = """
fail: {severity: CRITICAL}
warn: {severity: HIGH, fixable: true}
unknown: fail
"""


def found(*findings: str) -> list[MergedFinding]:
    """Findings from words such as ``HIGH`` or ``HIGH/fixed``."""
    parts = [word.partition("/") for word in findings]
    return [
        sample_finding(f"CVE-2024-{number:04}", severity, "zlib", installed="1", fixed="2" if fixed else "")
        for number, (severity, fixed, _) in enumerate(parts)
    ]


async def judge(
    config: dict[str, Any],
    merged: MergedReport | None,
    *scanners: ScannerOutcome,
    **image: Any,
) -> PolicyDecision:
    judged = sample_image_verdict(merged, Outcome.UNKNOWN, scanners=scanners or (sample_scanner(),), **image)
    subject = PolicyInput(deployment=sample_verdict().deployment, image=judged, merged=merged, now=NOW)
    context = make_context(Path("unused"), instance="gate")
    return await ThresholdPolicy(ThresholdConfig.model_validate(config), context).evaluate(subject)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        pytest.param((), Outcome.PASS, id="nothing-found"),
        pytest.param(("CRITICAL",), Outcome.FAIL, id="critical-without-a-fix"),
        pytest.param(("HIGH",), Outcome.PASS, id="high-without-a-fix"),
        pytest.param(("HIGH/fixed",), Outcome.WARN, id="high-with-a-fix"),
        pytest.param(("MEDIUM/fixed", "LOW/fixed"), Outcome.PASS, id="lower"),
        pytest.param(("UNKNOWN",), Outcome.FAIL, id="unknown-severity-fails-here"),
    ],
)
async def test_the_documented_example_judges_as_it_reads(findings: tuple[str, ...], expected: Outcome) -> None:
    config = yaml.safe_load(AS_IN_THE_DOCUMENTATION)
    decision = await judge(config, sample_report(gaps=False, findings=found(*findings)))
    assert decision.outcome is expected


@pytest.mark.parametrize(
    ("config", "findings", "expected"),
    [
        pytest.param({}, ("CRITICAL",), Outcome.FAIL, id="default-fails-on-critical"),
        pytest.param({}, ("HIGH",), Outcome.WARN, id="default-warns-of-high"),
        pytest.param({}, ("MEDIUM",), Outcome.PASS, id="default-lets-medium-pass"),
        pytest.param({}, ("UNKNOWN",), Outcome.UNKNOWN, id="default-does-not-know-unknown"),
        pytest.param({"fail": {"severity": "HIGH"}}, ("MEDIUM", "LOW"), Outcome.PASS, id="only-the-rule-given"),
        pytest.param({"unknown": "ignore"}, ("UNKNOWN",), Outcome.PASS, id="unknown-ignored"),
        pytest.param({"unknown": "warn"}, ("UNKNOWN",), Outcome.WARN, id="unknown-warns"),
        pytest.param({"fail": {"severity": "LOW", "count": 3}}, ("LOW", "HIGH"), Outcome.PASS, id="below-the-count"),
        pytest.param({"fail": {"severity": "LOW", "count": 2}}, ("LOW", "HIGH"), Outcome.FAIL, id="at-the-count"),
        pytest.param({"fail": {"severity": "LOW", "fixable": False}}, ("LOW/fixed",), Outcome.PASS, id="has-a-fix"),
        pytest.param({"fail": {"severity": "low", "fixable": False}}, ("LOW",), Outcome.FAIL, id="has-no-fix"),
        pytest.param(
            {"fail": [{"severity": "CRITICAL"}, {"severity": "LOW", "count": 2}]},
            ("LOW", "LOW"),
            Outcome.FAIL,
            id="any-rule-of-a-list",
        ),
    ],
)
async def test_a_rule_counts_what_it_names(
    config: dict[str, Any], findings: tuple[str, ...], expected: Outcome
) -> None:
    assert (await judge(config, sample_report(gaps=False, findings=found(*findings)))).outcome is expected


async def test_a_reason_says_what_was_found_and_names_it_worst_first() -> None:
    decision = await judge(
        {"warn": {"severity": "HIGH"}}, sample_report(gaps=False, findings=found("HIGH", "CRITICAL"))
    )
    (reason,) = decision.reasons
    assert (reason.policy, reason.message) == ("gate", "2 findings of severity HIGH or above")
    assert reason.findings == ("CVE-2024-0001", "CVE-2024-0000")


async def test_a_reason_names_twenty_findings_and_says_how_many_more_there_are() -> None:
    decision = await judge({}, sample_report(gaps=False, findings=found(*["CRITICAL"] * 23)))
    assert len(decision.reasons[0].findings) == 20
    assert "23 findings" in decision.reasons[0].message
    assert "3 more ids are not named here" in decision.reasons[0].message


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        pytest.param(None, Outcome.UNKNOWN, id="by-default"),
        pytest.param("fail", Outcome.FAIL, id="fail"),
        pytest.param("warn", Outcome.WARN, id="warn"),
        pytest.param("ignore", Outcome.PASS, id="ignore"),
    ],
)
@pytest.mark.parametrize(
    "coverage",
    [
        pytest.param(
            {"osv": Coverage(items=(CoverageItem(subject="Go", status=CoverageStatus.NOT_COVERED),))}, id="a-gap"
        ),
        pytest.param({"osv": Coverage(items=())}, id="nothing-recognised"),
        pytest.param({}, id="nobody-said"),
    ],
)
async def test_what_was_not_looked_at_means_what_the_chain_says(
    gaps: str | None, expected: Outcome, coverage: dict[str, Coverage]
) -> None:
    merged = sample_report(findings=()).model_copy(update={"coverage": coverage})
    decision = await judge({} if gaps is None else {"gaps": gaps}, merged)
    assert decision.outcome is expected
    assert expected is Outcome.PASS or "not everything was looked at" in decision.reasons[0].message


@pytest.mark.parametrize(
    ("config", "expected"),
    [({}, Outcome.WARN), ({"secrets": "fail"}, Outcome.FAIL), ({"secrets": "ignore"}, Outcome.PASS)],
    ids=["by-default", "fail", "ignore"],
)
async def test_a_credential_in_the_image_means_what_the_chain_says(config: dict[str, str], expected: Outcome) -> None:
    secret = SecretFinding(rule="private-key", path="root/.ssh/id_rsa", line=1)
    merged = sample_report(gaps=False, findings=()).model_copy(update={"secrets": (secret,)})
    assert (await judge(config, merged)).outcome is expected


async def test_a_scanner_that_failed_beside_one_that_reported_leaves_the_image_unknown() -> None:
    clean = sample_report(gaps=False, findings=())
    decision = await judge({}, clean, sample_scanner(), failed_scanner("it is down", "ScannerUnavailableError"))
    assert decision.outcome is Outcome.UNKNOWN
    assert decision.reasons[0].message == "the scanner qualys-us did not report"


async def test_a_scanner_that_another_stands_in_for_does_not_count() -> None:
    clean = sample_report(gaps=False, findings=())
    stood_in = failed_scanner("it is down", "ScannerUnavailableError").model_copy(update={"needed": False})
    assert (await judge({}, clean, sample_scanner(), stood_in)).outcome is Outcome.PASS


async def test_an_image_that_nobody_could_resolve_is_unknown() -> None:
    decision = await judge({}, None, error="no such tag")
    assert decision.outcome is Outcome.UNKNOWN
    assert decision.reasons[0].message == "nobody reported on this image"


@pytest.mark.parametrize(
    ("config", "key"),
    [
        pytest.param({"fial": {"severity": "HIGH"}}, "fial", id="misspelt-key"),
        pytest.param({"fail": {"severity": "HUGE"}}, "severity", id="no-such-severity"),
        pytest.param({"fail": {"severity": "UNKNOWN"}}, "severity", id="unknown-cannot-be-compared"),
        pytest.param({"fail": {"severity": "LOW", "count": 0}}, "count", id="count-of-nothing"),
        pytest.param({"fail": {}}, "severity", id="rule-without-a-severity"),
        pytest.param({"gaps": "pass"}, "gaps", id="gaps-cannot-pass"),
    ],
)
def test_a_wrong_configuration_names_the_key(config: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ThresholdConfig.model_validate(config)
    assert key in caught.value.errors()[0]["loc"]


def by(*scanners: str, severity: str = "CRITICAL", **changes: bool) -> MergedFinding:
    """A finding that these scanners report."""
    one = sample_finding("CVE-2024-9", severity, "zlib", installed="1")
    return MergedFinding(finding=one.finding.model_copy(update=changes), found_by=scanners)


def seen_by(*scanners: str, findings: list[MergedFinding]) -> MergedReport:
    whole = sample_report(gaps=False, findings=findings)
    return whole.model_copy(update={"coverage": dict.fromkeys(scanners, whole.coverage["osv"])})


@pytest.mark.parametrize(
    ("agree", "found_by", "looked", "expected"),
    [
        pytest.param(1, ("a",), ("a", "b", "c"), Outcome.FAIL, id="one-is-enough"),
        pytest.param(2, ("a",), ("a", "b", "c"), Outcome.PASS, id="one-of-two-needed"),
        pytest.param(2, ("a", "b"), ("a", "b", "c"), Outcome.FAIL, id="two-of-three"),
        pytest.param("all", ("a", "b"), ("a", "b", "c"), Outcome.PASS, id="not-all"),
        pytest.param("all", ("a", "b", "c"), ("a", "b", "c"), Outcome.FAIL, id="all"),
        pytest.param(2, ("a",), ("a",), Outcome.FAIL, id="nobody-else-looked"),
        pytest.param(2, ("a", "a@deep"), ("a", "a@deep", "b"), Outcome.PASS, id="profiles-of-one-are-one-voice"),
    ],
)
async def test_a_rule_may_ask_for_scanners_to_agree(
    agree: int | str, found_by: tuple[str, ...], looked: tuple[str, ...], expected: Outcome
) -> None:
    merged = seen_by(*looked, findings=[by(*found_by)])
    decision = await judge({"fail": {"severity": "CRITICAL", "agree": agree}}, merged)
    assert decision.outcome is expected


async def test_what_is_told_for_information_only_never_fails_and_never_warns() -> None:
    findings = [by("osv", informational=True), by("osv", severity="UNKNOWN", informational=True)]
    config = {"fail": {"severity": "NEGLIGIBLE"}, "unknown": "fail"}
    decision = await judge(config, seen_by("osv", findings=findings))
    assert decision.outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({}, Outcome.FAIL, id="by-default"),
        pytest.param({"exemptions": "count"}, Outcome.FAIL, id="said"),
        pytest.param({"exemptions": "honour"}, Outcome.PASS, id="honoured"),
    ],
)
async def test_exemptions_of_a_scanners_own_console_count_only_if_the_chain_says_so(
    config: dict[str, Any], expected: Outcome
) -> None:
    decision = await judge(config, seen_by("osv", findings=[by("osv", exempted=True)]))
    assert decision.outcome is expected
