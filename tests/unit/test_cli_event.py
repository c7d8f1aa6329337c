from __future__ import annotations

import json
from pathlib import Path

import pytest

from scanguard.app import Accepted
from scanguard.intake import MAX_PAYLOAD_BYTES
from scanguard.model.verdict import Outcome
from scanguard.testing.commands import FakeApplication, invoke
from scanguard.testing.samples import NOW, sample_image_verdict, sample_report, sample_verdict

REPORT = sample_report()
VERDICT = sample_verdict(images=[sample_image_verdict(REPORT, Outcome.FAIL)])
MERGED = {str(VERDICT.images[0].merged): REPORT}


def test_an_event_from_a_file_is_accepted_judged_and_told(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_bytes(b'{"id": 1}')
    app = FakeApplication([VERDICT], MERGED)
    result = invoke(["event", str(file)], app)
    assert result.exit_code == 10
    assert app.payloads == [b'{"id": 1}']
    assert app.worked == [((VERDICT.id,), False)]
    assert "Container group web" in result.stdout


def test_an_event_of_what_is_gone_says_so_and_is_no_trouble() -> None:
    result = invoke(["event", "-"], FakeApplication(gone={"a1": NOW}), stdin=b"{}")
    assert result.exit_code == 0
    assert "No verdict for a1: closed: the deployment is gone." in result.stderr
    assert "No verdict yet" not in result.stderr


def test_standard_input_is_a_dash() -> None:
    app = FakeApplication([VERDICT], MERGED)
    assert invoke(["event", "-"], app, stdin=b"[]\xff").exit_code == 10
    assert app.payloads == [b"[]\xff"]


def test_no_wait_only_accepts_and_prints_the_ids() -> None:
    app = FakeApplication([VERDICT], accepts=Accepted(("a1", "b2"), (), ()))
    result = invoke(["event", "--no-wait", "-"], app, stdin=b"[]")
    assert (result.exit_code, result.stdout) == (0, "a1\nb2\n")
    assert app.worked == []
    result = invoke(["event", "--no-wait", "--format", "json", "-"], app, stdin=b"[]")
    assert json.loads(result.stdout)["accepted"] == ["a1", "b2"]


@pytest.mark.parametrize(
    ("ids", "skipped", "rejected", "code"),
    [
        pytest.param((), ("event 1 is no deployment",), (), 0, id="skipped only"),
        pytest.param((), (), ("event 1 has no id",), 2, id="rejected only"),
        pytest.param((), ("event 1 is no deployment",), ("event 2 has no id",), 2, id="rejected and skipped"),
        pytest.param((VERDICT.id,), (), ("event 2 has no id",), 10, id="rejected beside one that went through"),
    ],
)
def test_what_did_not_go_through_is_said(
    ids: tuple[str, ...], skipped: tuple[str, ...], rejected: tuple[str, ...], code: int
) -> None:
    app = FakeApplication([VERDICT], MERGED, accepts=Accepted(ids, skipped, rejected))
    result = invoke(["event", "-"], app, stdin=b"[]")
    assert result.exit_code == code
    for sentence in skipped:
        assert f"Skipped: {sentence}" in result.stderr
    for sentence in rejected:
        assert f"Rejected: {sentence}" in result.stderr


def test_an_oversized_file_is_refused_before_anything_is_accepted() -> None:
    app = FakeApplication()
    result = invoke(["event", "-"], app, stdin=b" " * (MAX_PAYLOAD_BYTES + 1))
    assert result.exit_code == 2
    assert "1,048,576 bytes" in result.stderr
    assert app.payloads == []


def test_a_file_that_is_not_there_is_wrong_usage() -> None:
    result = invoke(["event", "/no/such/file.json"], FakeApplication())
    assert result.exit_code == 2
    assert "/no/such/file.json" in result.stderr
