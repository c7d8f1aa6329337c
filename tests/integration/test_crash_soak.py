"""Real workers are killed with -9 while they judge a few hundred deployments, and every promise holds.

The same evidence, tampered with, breaks each promise in turn: the check can fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from soaking.evidence import Evidence
from soaking.plan import Plan
from soaking.promises import check
from soaking.run import Soaked, soak
from soaking.table import table

from scanguard.builtin.scripted_memory import Call, Result
from scanguard.engine.documents import AssessmentState, OutboxState
from scanguard.model.verdict import Outcome, Verdict

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]
Tamper = Callable[[Evidence], Evidence]

PLAN = Plan(kills=10, kill_every_s=0.8, limit_s=150.0)


@pytest.fixture(scope="module")
def soaked(tmp_path_factory: pytest.TempPathFactory) -> Soaked:
    return asyncio.run(soak(PLAN, tmp_path_factory.mktemp("soak")))


def test_nothing_is_lost_or_wrong_when_workers_are_killed(soaked: Soaked) -> None:
    assert soaked.is_kept, table(soaked)
    assert soaked.kills == PLAN.kills
    assert len(soaked.evidence.verdicts) == PLAN.deployments


def test_the_soak_meets_what_it_is_for(soaked: Soaked) -> None:
    outcomes = {verdict.outcome for verdict in soaked.evidence.verdicts.values()}
    faults = {call.fault for call in soaked.evidence.calls if call.fault}

    assert outcomes == {Outcome.FAIL, Outcome.UNKNOWN}
    assert soaked.redelivered, "kills hit workers that held messages"
    assert len(faults) >= 3
    assert soaked.peak_rss_kib > 10_000


def some_id(evidence: Evidence, outcome: Outcome = Outcome.FAIL) -> str:
    return next(id for id, one in evidence.verdicts.items() if one.outcome is outcome)


def with_verdict(evidence: Evidence, id: str, verdict: Verdict | None) -> Evidence:
    others = {name: one for name, one in evidence.verdicts.items() if name != id}
    return replace(evidence, verdicts=others if verdict is None else {**others, id: verdict})


def outcome_is(outcome: Outcome, was: Outcome = Outcome.FAIL) -> Tamper:
    """A verdict says something else, as do its copies and notices."""

    def tamper(evidence: Evidence) -> Evidence:
        id = some_id(evidence, was)
        verdict = evidence.verdicts[id]
        images = tuple(image.model_copy(update={"outcome": outcome}) for image in verdict.images)
        changed = verdict.model_copy(update={"outcome": outcome, "images": images})
        copies = [
            one.model_copy(update={"verdict": changed}) if one.verdict.id == id else one for one in evidence.copies
        ]
        notices = [{**one, "outcome": outcome.value} if one["id"] == id else one for one in evidence.notices]
        return replace(with_verdict(evidence, id, changed), copies=copies, notices=notices)

    return tamper


def assessment_is(**update: object) -> Tamper:
    def tamper(evidence: Evidence) -> Evidence:
        id = some_id(evidence)
        changed = evidence.assessments[id].model_copy(update=update)
        return replace(evidence, assessments={**evidence.assessments, id: changed})

    return tamper


def other_resource(evidence: Evidence) -> Evidence:
    one, other = [*evidence.verdicts][:2]
    return with_verdict(evidence, one, evidence.verdicts[other].model_copy(update={"id": one}))


def other_digest(evidence: Evidence) -> Evidence:
    resource = next(iter(evidence.expected))
    return replace(evidence, expected={**evidence.expected, resource: (f"sha256:{'0' * 64}",)})


def without_answers(evidence: Evidence) -> Evidence:
    return replace(evidence, calls=[call for call in evidence.calls if call.result is not Result.ANSWERED])


def without_notices(evidence: Evidence) -> Evidence:
    id = some_id(evidence)
    return replace(evidence, notices=[one for one in evidence.notices if one["id"] != id])


def old_notice(evidence: Evidence) -> Evidence:
    id = some_id(evidence)
    return replace(evidence, notices=[{**one, "revision": 0} if one["id"] == id else one for one in evidence.notices])


def without_copy(evidence: Evidence) -> Evidence:
    return replace(evidence, copies=evidence.copies[1:])


def other_copy(evidence: Evidence) -> Evidence:
    first = evidence.copies[0]
    changed = first.verdict.model_copy(update={"reasons": ()})
    return replace(evidence, copies=[first.model_copy(update={"verdict": changed}), *evidence.copies[1:]])


def open_delivery(evidence: Evidence) -> Evidence:
    id = some_id(evidence)
    first, *others = evidence.outbox[id]
    dead = first.model_copy(update={"state": OutboxState.DEAD})
    return replace(evidence, outbox={**evidence.outbox, id: [dead, *others]})


def submitted_again(evidence: Evidence) -> Evidence:
    submit = next(call for call in evidence.calls if call.call == "submit" and call.result is Result.ACCEPTED)
    at = evidence.calls.index(submit) + 1
    again: Call = submit.model_copy(update={"number": submit.number + 1})
    return replace(evidence, calls=[*evidence.calls[:at], again, *evidence.calls[at:]])


@pytest.mark.parametrize(
    ("tamper", "promise"),
    [
        pytest.param(lambda e: replace(e, accepted={}), "nothing accepted is lost", id="events not accepted"),
        pytest.param(lambda e: replace(e, assessments={}), "nothing accepted is lost", id="no assessments"),
        pytest.param(assessment_is(state=AssessmentState.DEAD), "nothing accepted is lost", id="dead letter"),
        pytest.param(assessment_is(state=AssessmentState.WAITING), "nothing accepted is lost", id="still waiting"),
        pytest.param(lambda e: with_verdict(e, some_id(e), None), "nothing accepted is lost", id="no verdict"),
        pytest.param(assessment_is(revision=9), "every deployment is judged", id="old revision recorded"),
        pytest.param(other_resource, "every deployment is judged", id="verdict on another deployment"),
        pytest.param(other_digest, "every deployment is judged", id="verdict on another digest"),
        pytest.param(outcome_is(Outcome.PASS), "nothing is falsely clean", id="pass with findings"),
        pytest.param(outcome_is(Outcome.PASS, Outcome.UNKNOWN), "nothing is falsely clean", id="pass without a scan"),
        pytest.param(outcome_is(Outcome.WARN), "nothing is falsely clean", id="warn with a critical finding"),
        pytest.param(outcome_is(Outcome.FAIL, Outcome.UNKNOWN), "nothing is falsely clean", id="fail without a scan"),
        pytest.param(without_answers, "nothing is falsely clean", id="fail without an answer"),
        pytest.param(without_copy, "records are in the sink", id="copy missing"),
        pytest.param(other_copy, "records are in the sink", id="copy that says something else"),
        pytest.param(without_notices, "every last revision is told", id="nobody told"),
        pytest.param(old_notice, "every last revision is told", id="told of an older revision only"),
        pytest.param(open_delivery, "every delivery is done", id="delivery given up"),
        pytest.param(submitted_again, "one scan at a time", id="submitted twice"),
        pytest.param(lambda e: replace(e, has_messages=True), "nothing is left open", id="message left"),
        pytest.param(lambda e: replace(e, open_rows=["task/1"]), "nothing is left open", id="row left open"),
        pytest.param(lambda e: replace(e, waiting=["a for b"]), "nothing is left open", id="somebody waits"),
        pytest.param(lambda e: replace(e, database="malformed"), "the database is whole", id="damaged database"),
        pytest.param(lambda e: replace(e, complaints=["ended"]), "processes behave", id="worker ended by itself"),
    ],
)
def test_a_broken_promise_is_seen(soaked: Soaked, tamper: Tamper, promise: str) -> None:
    broken = {one.name for one in check(tamper(soaked.evidence)) if one.broken}

    assert promise in broken
