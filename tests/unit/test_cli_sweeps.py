"""``scanguard sweeps``: people see the periodic jobs, and can start one."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from scanguard.cli.exit_codes import ExitCode
from scanguard.errors import ConfigError
from scanguard.hooks import SweepPage
from scanguard.testing import FakeApplication, MemoryBackend, Rig, invoke
from scanguard.testing.rig_host import RigSweep


@pytest.fixture
def rig() -> Rig:
    rig = Rig(memory=MemoryBackend())
    rig.sweeps["inventory"] = RigSweep(rig, pages={"": SweepPage(done=7)}, every=timedelta(hours=6))
    return rig


@pytest.fixture
def app(rig: Rig) -> FakeApplication:
    return FakeApplication(memory=rig.memory, rig=rig)


def worked(rig: Rig) -> None:
    async def work() -> None:
        await rig.sweep()
        await rig.run(minutes=5)

    asyncio.run(work())


def test_a_job_that_never_ran_is_listed_as_due_now(app: FakeApplication) -> None:
    result = invoke(["sweeps"], app)
    assert result.exit_code == ExitCode.OK
    assert "inventory" in result.stdout
    assert "6 h" in result.stdout
    assert "now" in result.stdout
    assert "not yet run" in result.stdout


def test_a_job_that_ran_says_when_and_how_much_it_did(app: FakeApplication, rig: Rig) -> None:
    worked(rig)
    [line] = json.loads(invoke(["sweeps", "--format", "json"], app).stdout)["sweeps"]
    assert (line["name"], line["every_s"], line["done"], line["error"]) == ("inventory", 21600, 7, "")
    assert line["started_at"] == "2026-01-01T00:00:00.000000Z"
    assert line["next_at"] == "2026-01-01T06:00:00.000000Z"


def test_a_job_that_failed_says_why(app: FakeApplication, rig: Rig) -> None:
    rig.sweeps["inventory"].faults.append(ConfigError("no such table"))
    worked(rig)
    result = invoke(["sweeps"], app)
    assert "failed" in result.stdout
    assert "inventory: no such table" in result.stdout


def test_a_job_of_the_past_says_that_it_is_not_configured(app: FakeApplication, rig: Rig) -> None:
    worked(rig)
    rig.sweeps.clear()
    assert "not configured" in invoke(["sweeps"], app).stdout


def test_without_jobs_it_says_so(app: FakeApplication, rig: Rig) -> None:
    rig.sweeps.clear()
    assert invoke(["sweeps"], app).stdout == "No configured instance has a periodic job.\n"


def test_a_job_can_be_started_now(app: FakeApplication, rig: Rig) -> None:
    worked(rig)
    result = invoke(["sweeps", "run", "inventory"], app)
    assert result.exit_code == ExitCode.OK
    assert "inventory is due now. `scanguard worker` does the work." in result.stderr
    rig.sweeps["inventory"].pages = {"": SweepPage(done=9)}
    rig.memory.clock.advance(1)
    worked(rig)
    assert len(rig.sweeps["inventory"].asked) == 2


def test_a_job_that_nobody_has_is_a_usage_error(app: FakeApplication) -> None:
    result = invoke(["sweeps", "run", "nobody"], app)
    assert result.exit_code == ExitCode.USAGE
    assert "scanguard sweeps" in result.stderr
