"""What no configuration of the threshold policy may do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from scanguard.builtin.threshold import Rule, ThresholdConfig, ThresholdPolicy
from scanguard.hooks import PolicyInput
from scanguard.model.merged import MergedFinding, MergedReport
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus
from scanguard.model.severity import Severity
from scanguard.model.verdict import Outcome, PolicyDecision, ScannerStatus
from scanguard.testing.contexts import make_context
from scanguard.testing.samples import (
    NOW,
    sample_finding,
    sample_image_verdict,
    sample_report,
    sample_scanner,
    sample_verdict,
)

_BADNESS: Final = {Outcome.PASS: 0, Outcome.WARN: 1, Outcome.UNKNOWN: 2, Outcome.FAIL: 3}
_RULES = st.lists(
    st.builds(
        Rule,
        severity=st.sampled_from([severity for severity in Severity if severity is not Severity.UNKNOWN]),
        fixable=st.none() | st.booleans(),
        count=st.integers(1, 4),
    ),
    max_size=3,
)
_MEANINGS = st.sampled_from(["fail", "warn", "unknown", "ignore"])
CONFIGS = st.builds(
    ThresholdConfig,
    fail=st.none() | _RULES,
    warn=st.none() | _RULES,
    unknown=_MEANINGS,
    gaps=_MEANINGS,
    secrets=st.sampled_from(["fail", "warn", "ignore"]),
)
FINDINGS = st.builds(
    sample_finding,
    st.integers(1, 40).map("CVE-2024-{}".format),
    st.sampled_from(list(Severity)).map(str),
    st.sampled_from(["openssl", "zlib"]),
    installed=st.just("1"),
    fixed=st.sampled_from(["", "2"]),
)
ITEMS = st.builds(CoverageItem, subject=st.sampled_from(["Debian:12", "PyPI"]), status=st.sampled_from(CoverageStatus))
GAPS = st.builds(
    CoverageItem,
    subject=st.just("Go binaries"),
    status=st.sampled_from([CoverageStatus.PARTIAL, CoverageStatus.NOT_COVERED]),
)


def report(
    findings: list[MergedFinding], items: dict[str, list[CoverageItem]], *, confirmed: bool = True
) -> MergedReport:
    coverage = {instance: Coverage(items=tuple(each)) for instance, each in items.items()}
    return sample_report(findings=findings).model_copy(update={"coverage": coverage, "confirmed": confirmed})


REPORTS = st.builds(
    report,
    st.lists(FINDINGS, max_size=6),
    st.dictionaries(st.sampled_from(["osv", "trivy"]), st.lists(ITEMS, max_size=3), max_size=2),
    confirmed=st.booleans(),
)


def judge(
    config: ThresholdConfig, merged: MergedReport | None, status: ScannerStatus = ScannerStatus.DONE
) -> PolicyDecision:
    image = sample_image_verdict(merged, Outcome.UNKNOWN, scanners=(sample_scanner(status=status),))
    subject = PolicyInput(deployment=sample_verdict().deployment, image=image, merged=merged, now=NOW)
    return asyncio.run(ThresholdPolicy(config, make_context(Path("unused"), instance="threshold")).evaluate(subject))


@given(CONFIGS, REPORTS, FINDINGS)
def test_one_more_finding_never_improves_the_outcome(
    config: ThresholdConfig, merged: MergedReport, more: MergedFinding
) -> None:
    worse = merged.model_copy(update={"findings": (*merged.findings, more)})
    assert _BADNESS[judge(config, worse).outcome] >= _BADNESS[judge(config, merged).outcome]


@given(CONFIGS, REPORTS, GAPS, st.sampled_from(["osv", "trivy"]))
def test_one_more_gap_never_improves_the_outcome(
    config: ThresholdConfig, merged: MergedReport, gap: CoverageItem, instance: str
) -> None:
    before = merged.coverage.get(instance, Coverage(items=()))
    wider = {**merged.coverage, instance: Coverage(items=(*before.items, gap))}
    worse = merged.model_copy(update={"coverage": wider})
    assert _BADNESS[judge(config, worse).outcome] >= _BADNESS[judge(config, merged).outcome]


@given(CONFIGS)
def test_no_configuration_lets_an_image_without_a_report_pass(config: ThresholdConfig) -> None:
    assert judge(config, None).outcome is Outcome.UNKNOWN


@given(CONFIGS, REPORTS, st.sampled_from([ScannerStatus.FAILED, ScannerStatus.PENDING]))
def test_no_configuration_lets_an_image_pass_while_a_needed_scanner_has_not_reported(
    config: ThresholdConfig, merged: MergedReport, status: ScannerStatus
) -> None:
    assert judge(config, merged, status).outcome in (Outcome.UNKNOWN, Outcome.FAIL)


@given(CONFIGS, REPORTS)
def test_a_report_that_does_not_name_its_digest_never_passes(config: ThresholdConfig, merged: MergedReport) -> None:
    doubtful = merged.model_copy(update={"confirmed": False})
    assert judge(config, doubtful).outcome in (Outcome.UNKNOWN, Outcome.FAIL)


@given(CONFIGS, REPORTS)
def test_every_outcome_but_pass_has_a_reason_that_leads_to_it(config: ThresholdConfig, merged: MergedReport) -> None:
    decision = judge(config, merged)
    said = {reason.outcome for reason in decision.reasons}
    assert (decision.outcome is Outcome.PASS) == (not said)
    assert decision.outcome is Outcome.PASS or decision.outcome in said
    assert all(reason.message and len(reason.findings) <= 20 for reason in decision.reasons)


@given(CONFIGS, REPORTS)
def test_the_same_question_has_the_same_answer(config: ThresholdConfig, merged: MergedReport) -> None:
    assert judge(config, merged) == judge(config, merged)
