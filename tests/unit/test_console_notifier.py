"""The console notifier's lines."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from scanguard.builtin.console import ConsoleConfig, ConsoleNotifier
from scanguard.builtin.console_lines import render_notice
from scanguard.errors import NotifyError
from scanguard.hooks import Notice
from scanguard.model.verdict import Outcome, Reason
from scanguard.testing.contexts import make_context
from scanguard.testing.samples import sample_image_verdict, sample_report, sample_verdict


def test_a_failed_deployment_says_what_where_and_why() -> None:
    verdict = sample_verdict(previous=Outcome.PASS, new_findings=("CVE-2021-3711",))
    lines = render_notice(verdict).splitlines()
    assert lines[0] == "FAIL  web (container group, shop, westeurope), was PASS"
    assert lines[1].startswith("  FAIL  shop.example/web:1.4: 9 findings: 2 critical, 2 high")
    assert lines[2] == "    threshold: 2 findings of severity CRITICAL [CVE-2021-3711, CVE-2022-1292]"
    assert lines[3] == "  new: CVE-2021-3711"
    assert lines[4] == f"  scanguard explain {verdict.id[:12]}"


def test_an_image_that_could_not_be_resolved_says_so() -> None:
    failed = sample_image_verdict(None, Outcome.UNKNOWN, image=None, error="no such tag", reasons=())
    assert "  UNKNOWN  shop.example/web:1.4: no such tag" in render_notice(sample_verdict(images=[failed]))


def test_text_from_outside_cannot_reach_the_terminal_or_add_a_line() -> None:
    hostile = "evil\x1b[2J\nPASS  everything\u202e"
    reason = Reason(policy="gate", outcome=Outcome.FAIL, message=hostile, findings=(hostile,))
    image = sample_image_verdict(sample_report(), Outcome.FAIL, name=hostile, reasons=(reason,), error=hostile)
    text = render_notice(sample_verdict(images=[image], new_findings=(hostile,)))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert not any(line.startswith("PASS") for line in text.splitlines())


def test_a_huge_verdict_stays_short() -> None:
    reasons = tuple(Reason(policy="p", outcome=Outcome.FAIL, message="m" * 9999) for _ in range(50))
    image = sample_image_verdict(sample_report(), Outcome.FAIL, name="n" * 9999, reasons=reasons)
    text = render_notice(sample_verdict(images=[image] * 500))
    assert len(text.splitlines()) < 200
    assert "and 480 more images" in text
    assert "and 45 more reasons" in text


@pytest.mark.parametrize("stream", ["stderr", "stdout"])
async def test_it_writes_to_the_stream_that_is_configured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stream: str
) -> None:
    notifier = ConsoleNotifier(ConsoleConfig.model_validate({"stream": stream}), make_context(tmp_path))
    verdict = sample_verdict()
    receipt = await notifier.send(Notice(key="k", verdict=verdict, reports={}))
    assert getattr(capsys.readouterr(), stream.removeprefix("std")) == render_notice(verdict)
    assert receipt.destination == stream


async def test_a_closed_stream_is_a_delivery_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    notifier = ConsoleNotifier(ConsoleConfig(), make_context(tmp_path))
    with pytest.raises(NotifyError, match="stderr"):
        await notifier.send(Notice(key="k", verdict=sample_verdict(), reports={}))
