"""The scripted scanner: what it says, how it fails, and what its journal lets other processes know."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scanguard.builtin.plugin import scanguard_scanners
from scanguard.builtin.scripted import ScriptedScanner
from scanguard.builtin.scripted_config import ScriptedConfig
from scanguard.builtin.scripted_memory import Call, Memory
from scanguard.errors import ScanguardError, ScannerAuthError, ScannerOutputError, ScannerUnavailableError
from scanguard.hooks import ScanRequest, Ticket
from scanguard.model.reference import ImageReference
from scanguard.model.report import ScanReport
from scanguard.testing.contexts import make_context
from scanguard.testing.memory import ManualClock
from scanguard.testing.samples import NOW, sample_image


def request(key: str = "k", name: str = "app:1") -> ScanRequest:
    named = {"reference": ImageReference.parse(f"shop.example/{name}")}
    image = sample_image(name).model_copy(update=named)
    return ScanRequest(key=key, image=image, deadline=NOW + timedelta(hours=1))


def scanner(folder: Path, clock: ManualClock | None = None, **config: Any) -> ScriptedScanner:
    context = make_context(folder, instance="acme", clock=clock or ManualClock(NOW))
    return ScriptedScanner(ScriptedConfig.model_validate(config), context)


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "calls.jsonl").read_text().splitlines()]


async def outcomes(one: ScriptedScanner, calls: int) -> list[str]:
    seen = []
    for _ in range(calls):
        try:
            await one.submit(request())
        except ScanguardError as exc:
            seen.append(type(exc).__name__)
        else:
            seen.append("fine")
    return seen


async def test_by_default_every_image_fails_a_usual_policy_at_once(tmp_path: Path) -> None:
    report = await scanner(tmp_path).submit(request())

    assert isinstance(report, ScanReport)
    assert [(one.id, str(one.severity)) for one in report.findings] == [("SCRIPTED-0001", "CRITICAL")]
    assert report.coverage.is_complete


async def test_a_verdict_that_rests_on_a_script_says_so(tmp_path: Path) -> None:
    one = scanner(tmp_path)
    report = await one.submit(request())

    assert isinstance(report, ScanReport)
    assert report.scanner == await one.info()
    assert report.scanner.tool == "scripted"


async def test_findings_are_those_written_down_and_a_gap_is_a_gap(tmp_path: Path) -> None:
    written = [{"id": "CVE-1", "severity": "LOW", "package": "left pad@1.0"}, {"id": "CVE-2"}]
    report = await scanner(tmp_path, findings=written, coverage="gap").submit(request())

    assert isinstance(report, ScanReport)
    assert [(one.id, str(one.severity), one.package.name, one.package.version) for one in report.findings] == [
        ("CVE-1", "LOW", "left pad", "1.0"),
        ("CVE-2", "CRITICAL", "scripted", ""),
    ]
    assert report.findings[0].package.purl == "pkg:generic/left%20pad@1.0"
    assert len(report.coverage.gaps) == 1


async def test_a_scan_with_latency_is_asked_after_until_its_time_has_come(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    one = scanner(tmp_path, clock, latency_s=25, poll_s=10)

    ticket = await one.submit(request())
    waited = []
    while isinstance(ticket, Ticket):
        waited.append((ticket.not_before - NOW).total_seconds())
        clock.moment = ticket.not_before
        ticket = await one.poll(ticket)

    assert waited == [10, 20, 25]
    assert (ticket.finished_at - ticket.started_at).total_seconds() == 25


async def test_the_same_seed_fails_the_same_calls_and_another_seed_others(tmp_path: Path) -> None:
    faults = {"rate": 0.5, "kinds": ["unavailable", "timeout", "auth"]}

    first = await outcomes(scanner(tmp_path, faults=faults, seed=1), 40)
    again = await outcomes(scanner(tmp_path, faults=faults, seed=1), 40)
    other = await outcomes(scanner(tmp_path, faults=faults, seed=2), 40)

    assert first == again
    assert first != other
    assert {"fine", "ScannerUnavailableError", "ScanTimeoutError", "ScannerAuthError"} == set(first)
    assert 10 <= first.count("fine") <= 30


async def test_only_the_calls_that_are_named_fail(tmp_path: Path) -> None:
    one = scanner(tmp_path, faults={"rate": 1, "calls": ["find"]})

    await one.submit(request())
    with pytest.raises(ScannerUnavailableError):
        await one.find(request())


@pytest.mark.parametrize(
    "match",
    [
        pytest.param(sample_image("bad:1").digest, id="a digest"),
        pytest.param("*/bad", id="a repository"),
        pytest.param("sha256:*", id="any image"),
    ],
)
async def test_images_can_be_chosen_that_always_fail(tmp_path: Path, match: str) -> None:
    one = scanner(tmp_path, fail_images=[{"match": match, "kind": "auth"}])

    for _ in range(3):
        with pytest.raises(ScannerAuthError):
            await one.submit(request(name="bad:1"))


async def test_images_that_no_pattern_names_do_not_fail(tmp_path: Path) -> None:
    one = scanner(tmp_path, fail_images=[{"match": "*/bad", "kind": "auth"}])

    assert isinstance(await one.submit(request(name="good:1")), ScanReport)


async def test_a_wrong_digest_comes_when_the_report_does(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    one = scanner(tmp_path, clock, latency_s=5, faults={"rate": 1, "kinds": ["wrong_digest"]})

    ticket = await one.submit(request())
    assert isinstance(ticket, Ticket)
    clock.advance(5)
    report = await one.poll(ticket)

    assert isinstance(report, ScanReport)
    assert report.digest != request().image.digest


async def test_a_hanging_call_was_taken_on_before_its_answer_comes(tmp_path: Path) -> None:
    faults = {"rate": 1, "kinds": ["hang"], "hang_s": 3600}
    one = scanner(tmp_path, latency_s=5, journal="calls.jsonl", faults=faults)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(one.submit(request()), 0.2)

    found = await scanner(tmp_path, latency_s=5, journal="calls.jsonl").find(request())
    assert isinstance(found, Ticket)


@pytest.mark.parametrize("latency", [pytest.param(0, id="at once"), pytest.param(5, id="with a ticket")])
async def test_another_process_finds_what_a_dead_one_submitted_and_goes_on_with_it(
    tmp_path: Path, latency: float
) -> None:
    clock = ManualClock(NOW)
    before = scanner(tmp_path, clock, latency_s=latency, journal="calls.jsonl")
    await before.submit(request("k"))
    after = scanner(tmp_path, clock, latency_s=latency, journal="calls.jsonl")

    found = await after.find(request("k"))

    assert isinstance(found, Ticket)
    clock.advance(10)
    assert isinstance(await after.poll(found), ScanReport)
    assert await after.find(request("another key")) is None


async def test_nothing_is_found_of_a_submit_that_was_refused_or_made_by_another_instance(tmp_path: Path) -> None:
    refusing = scanner(tmp_path, journal="calls.jsonl", faults={"rate": 1})
    with pytest.raises(ScannerUnavailableError):
        await refusing.submit(request("k"))
    other = make_context(tmp_path, instance="other", clock=ManualClock(NOW))
    await ScriptedScanner(ScriptedConfig(journal=Path("calls.jsonl")), other).submit(request("k"))

    assert await scanner(tmp_path, journal="calls.jsonl").find(request("k")) is None


async def test_a_call_is_counted_whoever_made_it(tmp_path: Path) -> None:
    for _ in range(3):
        await scanner(tmp_path, journal="calls.jsonl").submit(request())

    assert [line["number"] for line in journal(tmp_path)] == [1, 2, 3]


async def test_the_journal_has_a_line_for_each_call(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    one = scanner(tmp_path, clock, latency_s=5, poll_s=1, journal="calls.jsonl")
    await one.find(request())
    ticket = await one.submit(request())
    assert isinstance(ticket, Ticket)
    await one.poll(ticket)
    clock.advance(5)
    await one.poll(ticket)

    lines = journal(tmp_path)
    assert [(line["call"], line["result"]) for line in lines] == [
        ("find", "none"),
        ("submit", "accepted"),
        ("poll", "running"),
        ("poll", "answered"),
    ]
    assert {(line["key"], line["digest"], line["pid"]) for line in lines} == {
        ("k", request().image.digest, os.getpid())
    }


WRITES = """
import asyncio, sys
from pathlib import Path
from scanguard.builtin.scripted import ScriptedScanner
from scanguard.builtin.scripted_config import ScriptedConfig
from scanguard.hooks import ScanRequest
from scanguard.testing.contexts import make_context
from scanguard.testing.samples import NOW, sample_image

async def main():
    one = ScriptedScanner(ScriptedConfig(journal=Path("calls.jsonl")), make_context(Path(sys.argv[1])))
    for n in range(200):
        await one.submit(ScanRequest(key=f"{sys.argv[2]}-{n}", image=sample_image(f"app:{n}"), deadline=NOW))

asyncio.run(main())
"""


@pytest.mark.slow
def test_processes_that_write_at_once_leave_whole_lines(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", WRITES, str(tmp_path), name] for name in "ab"]
    children = [subprocess.Popen(command) for command in commands]  # noqa: S603  # our own code

    assert [child.wait(50) for child in children] == [0, 0]
    assert len({line["key"] for line in journal(tmp_path)}) == 400


async def test_a_broken_line_of_the_journal_is_skipped_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "calls.jsonl").write_bytes(b"\xff not json\n{}\n")
    await scanner(tmp_path, journal="calls.jsonl").submit(request("k"))

    assert await scanner(tmp_path, journal="calls.jsonl").find(request("k")) is not None
    assert "cannot be read and is skipped" in caplog.text


async def test_a_line_that_is_still_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    await scanner(tmp_path, journal="calls.jsonl").submit(request("k"))
    path = tmp_path / "calls.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    memory = Memory(path, "acme")

    def note() -> Call | None:
        seen: list[Call | None] = []

        def look(_: int, taken_on: Call | None) -> Call:
            seen.append(taken_on)
            raise OSError  # looks, and writes nothing

        with pytest.raises(ScannerUnavailableError):
            memory.note("k", request().image.digest, look)
        return seen[0]

    assert note() is None
    path.write_bytes(whole)
    assert note() is not None


async def test_a_journal_that_cannot_be_written_is_a_scanner_that_is_not_available(tmp_path: Path) -> None:
    (tmp_path / "calls.jsonl").mkdir()

    with pytest.raises(ScannerUnavailableError, match=r"calls\.jsonl cannot be used"):
        await scanner(tmp_path, journal="calls.jsonl").submit(request())


async def test_a_foreign_ticket_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScannerOutputError, match="cannot be read"):
        await scanner(tmp_path).poll(Ticket({"key": "k"}, NOW))


def test_only_what_changes_a_result_makes_another_task() -> None:
    (spec,) = scanguard_scanners()
    assert spec.fingerprint is not None

    def fingerprint(**config: Any) -> object:
        assert spec.fingerprint is not None
        return spec.fingerprint(ScriptedConfig.model_validate(config))

    assert fingerprint() == fingerprint(latency_s=5, seed=9, faults={"rate": 0.5}, journal="x")
    assert fingerprint() != fingerprint(findings=2)
    assert fingerprint() != fingerprint(coverage="gap")
