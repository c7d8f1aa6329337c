"""The contract of policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from scanguard.errors import PolicyError, ScanguardError
from scanguard.hooks import PluginContext, Policy, PolicyInput, PolicySpec
from scanguard.model.merged import MergedReport
from scanguard.model.verdict import Outcome, PolicyDecision, ScannerOutcome, ScannerStatus
from scanguard.testing.contracts.base import PluginContract
from scanguard.testing.samples import NOW, sample_image_verdict, sample_report, sample_scanner, sample_verdict


def subject(merged: MergedReport | None, *scanners: ScannerOutcome) -> PolicyInput:
    """One image to judge; by default its scanner is done."""
    image = sample_image_verdict(merged, Outcome.UNKNOWN, scanners=scanners or (sample_scanner(),))
    return PolicyInput(deployment=sample_verdict().deployment, image=image, merged=merged, now=NOW)


class PolicyContract(PluginContract):
    """What every policy keeps."""

    hook = "scanguard_policies"
    spec_type: ClassVar[type] = PolicySpec
    timeout_error: ClassVar[type[ScanguardError]] = PolicyError
    error_family: ClassVar[type[ScanguardError]] = PolicyError

    async def use(self, plugin: Any) -> PolicyDecision:  # noqa: ANN401  # a policy
        """Judge an image with findings and gaps."""
        policy: Policy = plugin
        return await policy.evaluate(subject(sample_report()))

    @pytest.mark.asyncio
    async def test_the_same_question_has_the_same_answer(
        self, config: Mapping[str, Any], context: PluginContext
    ) -> None:
        policy, other = self.build(config, context), self.build(config, context)
        for merged in (sample_report(), sample_report(findings=()), sample_report(gaps=False), None):
            first = await policy.evaluate(subject(merged))
            assert isinstance(first, PolicyDecision), f"a policy gives a PolicyDecision, not a {type(first).__name__}"
            assert await policy.evaluate(subject(merged)) == first, "asked twice, it decides differently"
            assert await other.evaluate(subject(merged)) == first, "two instances decide differently"

    @pytest.mark.asyncio
    async def test_every_outcome_but_pass_has_a_reason(self, config: Mapping[str, Any], context: PluginContext) -> None:
        policy = self.build(config, context)
        for merged in (sample_report(), sample_report(findings=()), sample_report(gaps=False), None):
            decision = await policy.evaluate(subject(merged))
            said = {reason.outcome for reason in decision.reasons if reason.message}
            assert decision.outcome is Outcome.PASS or decision.outcome in said, f"{decision.outcome} without a reason"

    @pytest.mark.asyncio
    async def test_an_image_that_nobody_looked_at_never_passes(
        self, config: Mapping[str, Any], context: PluginContext
    ) -> None:
        policy = self.build(config, context)
        decision = await policy.evaluate(subject(None))
        assert decision.outcome in (Outcome.UNKNOWN, Outcome.FAIL), f"without a report it says {decision.outcome}"

    @pytest.mark.asyncio
    @pytest.mark.parametrize("status", [ScannerStatus.FAILED, ScannerStatus.PENDING])
    async def test_an_image_that_a_needed_scanner_has_not_reported_on_never_passes(
        self, config: Mapping[str, Any], context: PluginContext, status: ScannerStatus
    ) -> None:
        policy = self.build(config, context)
        clean = sample_report(gaps=False, findings=())
        missed = sample_scanner(instance="second", status=status)
        decision = await policy.evaluate(subject(clean, sample_scanner(), missed))
        assert decision.outcome is not Outcome.PASS, f"it passes while a needed scanner is {status}"
