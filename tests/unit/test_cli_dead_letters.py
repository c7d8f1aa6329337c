"""``dead-letters`` and ``cancel``: from a broken scanner to a mended verdict, on the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import Result

from scanguard.errors import ScannerAuthError
from scanguard.model.verdict import Outcome
from scanguard.testing.commands import FakeApplication, invoke
from scanguard.testing.memory import MemoryBackend
from scanguard.testing.rig import Rig


@pytest.fixture
def rig() -> Rig:
    """A failed scan and a deployment that nobody knows."""
    rig = Rig()
    rig.scanners["one"].faults = [ScannerAuthError("no such user: \x1b[31m")]
    rig.deploy("/a", "app:1")

    async def fail() -> None:
        await rig.announce("/a")
        await rig.announce("/gone")
        await rig.run()

    asyncio.run(fail())
    return rig


def command(rig: Rig, *arguments: str) -> Result:
    return invoke(["dead-letters", *arguments], FakeApplication(memory=rig.memory))


def letters(rig: Rig) -> dict[str, dict[str, str]]:
    listed = json.loads(command(rig, "list", "--format", "json").stdout)
    assert listed["schema_version"] == 1
    return {letter["kind"]: letter for letter in listed["dead_letters"]}


def test_they_are_listed_with_what_failed_why_and_what_to_do(rig: Rig) -> None:
    found = letters(rig)
    assert set(found) == {"assessment", "scan"}
    assert found["scan"]["subject"] == "app:1"
    assert "credentials" in found["scan"]["remedy"]
    assert f"replay {found['scan']['id'][:12]}" in found["scan"]["remedy"]
    table = command(rig, "list").stdout
    assert "/gone" in table
    assert "\x1b[31m" not in table
    assert command(rig, "list", "--kind", "delivery").stdout == "Nothing was given up.\n"


def test_one_is_shown_by_the_beginning_of_its_id(rig: Rig) -> None:
    id = letters(rig)["scan"]["id"]
    shown = command(rig, "show", id[:6]).stdout
    assert id in shown
    assert "check the scanner's credentials" in shown
    assert json.loads(command(rig, "show", id, "--format", "json").stdout)["dead_letters"][0]["id"] == id
    missing = command(rig, "show", "zzzz")
    assert missing.exit_code == 2
    assert "scanguard dead-letters list" in missing.stderr


def test_replaying_all_scans_mends_the_verdict_and_leaves_the_other_letter(rig: Rig) -> None:
    result = command(rig, "replay", "--all", "--kind", "scan")
    assert (result.exit_code, result.stderr) == (0, "1 letter replayed. `scanguard worker` does the work.\n")
    asyncio.run(rig.run())
    assert set(letters(rig)) == {"assessment"}
    assert {verdict.outcome for verdict in rig.memory.records.verdicts.values()} == {Outcome.PASS}


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["replay"], id="replay of nothing"),
        pytest.param(["replay", "--all", "abc"], id="all and one"),
        pytest.param(["drop", "abc"], id="drop without a reason"),
        pytest.param(["drop", "--reason", "because"], id="drop of nothing"),
    ],
)
def test_misuse_is_told_and_changes_nothing(rig: Rig, arguments: list[str]) -> None:
    assert command(rig, *arguments).exit_code == 2
    assert len(letters(rig)) == 2


def test_dropping_needs_a_reason_that_says_something(rig: Rig) -> None:
    id = letters(rig)["assessment"]["id"]
    assert command(rig, "drop", id, "--reason", " ").exit_code == 2
    assert command(rig, "drop", id, "--reason", "gone for good").exit_code == 0
    assert set(letters(rig)) == {"scan"}
    assert rig.assessments()[id].dropped == "gone for good"


def test_stopping_work_that_is_under_way() -> None:
    rig = Rig(memory=MemoryBackend())
    rig.scanners["one"].wait_s = 3600
    rig.deploy("/a", "app:1")

    async def begin() -> str:
        name = await rig.announce("/a")
        await rig.run(minutes=1)
        return name

    name = asyncio.run(begin())
    stopped = invoke(["cancel", name, "--reason", "wrong image"], FakeApplication(memory=rig.memory))
    assert (stopped.exit_code, stopped.stderr) == (0, "Stopped. `scanguard dead-letters replay` takes it up again.\n")
    assert "cancelled: wrong image" in letters(rig)["assessment"]["error"]
    again = invoke(["cancel", name, "--reason", "wrong image"], FakeApplication(memory=rig.memory))
    assert again.exit_code == 2
    assert "nothing to stop" in again.stderr


def test_the_data_folder_is_asked_for_once(tmp_path: Path) -> None:
    result = invoke(["--data-dir", str(tmp_path), "dead-letters", "list"])
    assert (result.exit_code, result.stdout) == (0, "Nothing was given up.\n")
