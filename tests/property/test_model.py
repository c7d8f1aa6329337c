"""Documents survive being written as JSON and read again."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from scanguard.engine.intake import stable_id
from scanguard.model.base import SCHEMA_VERSION
from scanguard.model.merged import MergedReport
from scanguard.model.severity import Severity
from scanguard.model.verdict import Outcome, Verdict
from scanguard.testing import strategies
from scanguard.testing.samples import sample_report, sample_verdict

big = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@big
@given(strategies.merged_reports())
def test_a_report_round_trips(report: MergedReport) -> None:
    assert MergedReport.model_validate_json(report.model_dump_json()) == report


@big
@given(strategies.verdicts())
def test_any_verdict_round_trips(verdict: Verdict) -> None:
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_verdict_round_trips_and_says_its_schema(outcome: Outcome) -> None:
    verdict = sample_verdict(outcome)
    written = verdict.model_dump_json()
    assert Verdict.model_validate_json(written) == verdict
    assert json.loads(written)["schema_version"] == SCHEMA_VERSION


def test_a_document_of_a_newer_schema_is_refused_not_misread() -> None:
    newer = {**sample_report().model_dump(mode="json"), "schema_version": SCHEMA_VERSION + 1}
    with pytest.raises(ValidationError, match="schema_version"):
        MergedReport.model_validate(newer)


@given(st.sampled_from(list(Severity)), st.sampled_from(list(Severity)))
def test_severities_are_ordered_and_unknown_compares_with_nothing(one: Severity, other: Severity) -> None:
    if Severity.UNKNOWN in (one, other):
        assert not any((one < other, one <= other, one > other, one >= other))
    else:
        assert (one < other) is (one.rank < other.rank)
        assert (one >= other) is (one.rank >= other.rank)


def test_a_severity_is_not_compared_with_a_text() -> None:
    with pytest.raises(TypeError, match="only against a Severity"):
        assert Severity.HIGH > "LOW"


@given(st.lists(st.sampled_from(list(Outcome))))
def test_the_worst_outcome_wins_and_nothing_at_all_is_unknown(outcomes: list[Outcome]) -> None:
    worst = Outcome.worst(outcomes)
    if not outcomes:
        assert worst is Outcome.UNKNOWN
    elif worst is Outcome.PASS:
        assert set(outcomes) == {Outcome.PASS}
    else:
        assert worst in outcomes


@given(st.lists(st.text() | st.integers(), max_size=4))
def test_an_id_is_what_older_versions_made_of_the_same_parts(parts: list[object]) -> None:
    spelled = json.dumps([str(part) for part in parts])
    assert stable_id(*parts) == hashlib.sha256(spelled.encode()).hexdigest()[:32]
