"""From scan tasks to a verdict: merge, ask the policies, explain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from scanguard.engine.context import EngineContext
from scanguard.engine.documents import Assessment, ImageState, ScanTask, TaskResult, TaskUse, stable_id
from scanguard.engine.guard import call_plugin
from scanguard.engine.merge import merge
from scanguard.engine.plan import Plan, PolicyRef
from scanguard.engine.tasks import Want
from scanguard.errors import BackendError, PolicyError, ScanguardError
from scanguard.hooks import PolicyInput
from scanguard.model.deployment import Deployment
from scanguard.model.finding import Finding
from scanguard.model.merged import MergedReport
from scanguard.model.report import ScanReport, count_severities
from scanguard.model.verdict import (
    Action,
    ChainChoice,
    ImageVerdict,
    Outcome,
    PolicyDecision,
    Reason,
    ScannerOutcome,
    ScannerStatus,
    Verdict,
)
from scanguard.ports import RecordQuery

ENGINE = "engine"
"""The name under which the engine's own reasons appear."""
MERGE_RULES: Final = "merged-2"
"""What is merged by other rules is another report."""
MERGED_AT_ONCE: Final = 500
"""Findings whose merging does not hold anybody up noticeably; more are merged in a thread."""


_NO_CONTAINER: Final = "the platform names no container for this deployment"


@dataclass(frozen=True, slots=True)
class _Judged:
    view: ImageVerdict
    actions: tuple[Action, ...] = ()
    findings: tuple[Finding, ...] = ()


class Judge:
    """Makes verdicts; the same inputs make the same verdict."""

    def __init__(self, context: EngineContext) -> None:
        self._backend = context.backend
        self._host = context.host
        self._merged = context.merged

    async def verdict(
        self, assessment: Assessment, revision: int, plan: Plan, tasks: Mapping[str, ScanTask]
    ) -> Verdict:
        """Judge an assessment on what its tasks say now."""
        deployment = assessment.deployment
        if deployment is None:
            raise BackendError(f"assessment {assessment.id} has no deployment; the store is damaged")
        want = Want.of(assessment, plan)
        judged = [await self._image(deployment, image, plan, tasks, want) for image in assessment.images]
        previous = await self._previous(assessment, deployment)
        known = await self._known(previous)
        outcome = Outcome.worst(one.view.outcome for one in judged)
        return Verdict(
            id=assessment.id,
            revision=revision,
            outcome=outcome,
            deployment=deployment,
            event=assessment.event,
            chain=ChainChoice(name=plan.chain, why=plan.why),
            images=tuple(one.view for one in judged),
            reasons=_deciding([one.view for one in judged], outcome, assessment.unread),
            actions=tuple(_unique(action for one in judged for action in one.actions)),
            new_findings=tuple(sorted({f.id for one in judged for f in one.findings if known.isdisjoint(f.ids)})),
            previous=previous.outcome if previous else None,
            decided_at=self._backend.clock.now(),
        )

    async def _previous(self, assessment: Assessment, deployment: Deployment) -> Verdict | None:
        """What people know already: this assessment's earlier verdict, else the deployment's last one."""
        if assessment.revision:
            own = await self._backend.records.query(RecordQuery(id=assessment.id, limit=1))
            return own[0] if own else None
        return await self._backend.records.previous(deployment.resource_id, assessment.id)

    async def _image(
        self, deployment: Deployment, state: ImageState, plan: Plan, tasks: Mapping[str, ScanTask], want: Want
    ) -> _Judged:
        results = {
            use.instance: result
            for use in state.tasks
            if (task := tasks.get(use.task)) and want.has_result(task, use.run) and (result := task.result)
        }
        name, merged = await self._merge(state, results, plan)
        findings = tuple(item.finding for item in merged.findings) if merged else ()
        view = ImageVerdict(
            container=state.container,
            init=state.init,
            name=state.name,
            image=state.image,
            error=state.error,
            error_kind=state.error_kind,
            scanners=scanner_outcomes(state, plan, tasks, want),
            merged=name,
            counts=count_severities(findings) if merged else {},
            fixable=sum(finding.is_fixable for finding in findings),
            outcome=Outcome.UNKNOWN,
        )
        subject = PolicyInput(deployment, view, merged, self._backend.clock.now())
        decisions = [_own_decision(view, merged, gaps_are_judged=any(ref.judges_gaps for ref in plan.policies))]
        decisions += [await self._decide(ref, subject) for ref in plan.policies]
        return _Judged(
            view.model_copy(
                update={
                    "outcome": Outcome.worst(decision.outcome for decision in decisions),
                    "reasons": tuple(reason for decision in decisions for reason in decision.reasons),
                }
            ),
            tuple(action for decision in decisions for action in decision.actions),
            findings,
        )

    async def _merge(
        self, state: ImageState, results: Mapping[str, TaskResult], plan: Plan
    ) -> tuple[str | None, MergedReport | None]:
        """The merged report of a set of reports: computed once, then read."""
        if state.image is None or not results:
            return None, None
        digest = state.image.digest
        named = [part for name in sorted(results) for part in (name, results[name].report)]
        key = stable_id(MERGE_RULES, *named, *(("trust", *plan.trust) if plan.trust else ()))
        name = f"merged/{digest.replace(':', '-')}/{key}.json"

        async def make() -> MergedReport:
            reports = {instance: await self._report(result) for instance, result in results.items()}
            if sum(len(report.findings) for report in reports.values()) > MERGED_AT_ONCE:
                merged = await asyncio.to_thread(merge, digest, reports, plan.trust)
            else:
                merged = merge(digest, reports, plan.trust)
            ids = {one for item in merged.findings for one in item.finding.ids}
            await self._backend.records.index(digest, sorted(ids))
            return merged

        return name, await self._merged.get_or_make(name, make)

    async def _report(self, result: TaskResult) -> ScanReport:
        data = await self._backend.reports.get(result.report)
        if data is None:
            raise BackendError(f"the report {result.report} is missing from the store", target=result.report)
        return ScanReport.model_validate_json(data)

    async def _decide(self, ref: PolicyRef, subject: PolicyInput) -> PolicyDecision:
        """Ask one policy; one that fails makes unknown, visibly, and hurts no other."""
        try:
            hosted = self._host.policy(ref)
            return await call_plugin(
                hosted.policy.evaluate(subject),
                plugin=hosted.name,
                what="evaluate",
                timeout_s=hosted.timeout_s,
                timeout_error=PolicyError,
                returns=PolicyDecision,
            )
        except BackendError:
            raise
        except ScanguardError as exc:
            return _unknown([f"policy {ref.name} could not be evaluated: {exc.message}"])

    async def _known(self, previous: Verdict | None) -> frozenset[str]:
        """Every id of the findings of the deployment's previous verdict."""
        names = {image.merged for image in previous.images if image.merged} if previous else set()
        merged = [await self._merged.get(name) for name in sorted(names)]
        return frozenset(name for one in merged if one for item in one.findings for name in item.finding.ids)


def scanner_outcomes(
    state: ImageState, plan: Plan, tasks: Mapping[str, ScanTask], want: Want
) -> tuple[ScannerOutcome, ...]:
    """Where each scanner stands with one image, and which of those that did not answer are missed."""
    outcomes = [_outcome(use, tasks.get(use.task), want) for use in state.tasks]
    done = {outcome.instance for outcome in outcomes if outcome.status is ScannerStatus.DONE}
    stand_in = bool(done & set(plan.scanners)) and plan.require == "any"
    fallback_served = bool(done & set(plan.fallback))

    def is_needed(instance: str) -> bool:
        if instance in done:
            return True
        if instance in plan.also:
            return True
        return not (fallback_served if instance in plan.fallback else stand_in)

    return tuple(outcome.model_copy(update={"needed": is_needed(outcome.instance)}) for outcome in outcomes)


def _outcome(use: TaskUse, task: ScanTask | None, want: Want) -> ScannerOutcome:
    if task is None:
        return ScannerOutcome(
            instance=use.instance, plugin="", status=ScannerStatus.FAILED, error="its scan is missing from the store"
        )
    if want.has_result(task, use.run) and task.result is not None:
        return ScannerOutcome(
            instance=use.instance,
            plugin=task.plugin,
            status=ScannerStatus.DONE,
            info=task.result.info,
            report=task.result.report,
            scanned_at=task.result.finished_at,
            reused=task.result.finished_at < want.asked_at,
            findings=task.result.findings,
        )
    status = ScannerStatus.FAILED if want.has_failure(task, use.run) else ScannerStatus.PENDING
    return ScannerOutcome(
        instance=use.instance, plugin=task.plugin, status=status, error=task.error, error_kind=task.error_kind
    )


def _own_decision(view: ImageVerdict, merged: MergedReport | None, *, gaps_are_judged: bool) -> PolicyDecision:
    """What holds whatever the policies say: an image that nobody looked at, or not everybody, is not clean."""
    missed: list[str] = []
    if view.image is None:
        missed.append(f"the image could not be resolved: {view.error}")
    elif not view.scanners:
        missed.append("the chain names no scanner")
    for scanner in view.scanners:
        if scanner.status is not ScannerStatus.DONE and scanner.needed:
            state = "failed" if scanner.status is ScannerStatus.FAILED else "has not finished"
            missed.append(f"{scanner.instance} {state}" + (f": {scanner.error}" if scanner.error else ""))
    if merged is not None and not merged.confirmed:
        missed.append("a scanner could not say which image it looked at")
    if merged is not None and not gaps_are_judged:
        missed += [
            f"{instance} did not look everywhere: {item.subject}: {item.detail or item.status}"
            for instance, coverage in merged.coverage.items()
            for item in coverage.gaps
        ]
        missed += [f"{instance} recognised nothing" for instance, one in merged.coverage.items() if not one.items]
    return _unknown(missed) if missed else PolicyDecision(outcome=Outcome.PASS)


def _unknown(messages: Sequence[str]) -> PolicyDecision:
    reasons = tuple(Reason(policy=ENGINE, outcome=Outcome.UNKNOWN, message=message) for message in messages)
    return PolicyDecision(outcome=Outcome.UNKNOWN, reasons=reasons)


def _deciding(images: Sequence[ImageVerdict], outcome: Outcome, unread: str) -> tuple[Reason, ...]:
    """The reasons that made the outcome."""
    if not images:
        message = f"the deployment may not be read: {unread}" if unread else _NO_CONTAINER
        return (Reason(policy=ENGINE, outcome=Outcome.UNKNOWN, message=message),)
    return tuple(reason for image in images for reason in image.reasons if reason.outcome is outcome)


def _unique(actions: Iterable[Action]) -> list[Action]:
    seen: list[Action] = []
    for action in actions:
        if action not in seen:
            seen.append(action)
    return seen
