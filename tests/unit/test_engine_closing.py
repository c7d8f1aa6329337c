"""Deployments that are gone: closed, never lost, never judged again by mistake."""

from __future__ import annotations

from datetime import timedelta

import pytest

from scanguard.engine.dead import DeadLetter
from scanguard.engine.documents import AssessmentState, Head, head_partition
from scanguard.errors import PlatformError
from scanguard.model.verdict import Outcome
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigSweep


async def judged(rig: Rig, resource: str = "/a", image: str = "clean:1") -> str:
    rig.deploy(resource, image)
    name = await rig.announce(resource)
    await rig.run(minutes=30)
    return name


async def deleted(rig: Rig, resource: str = "/a") -> str:
    rig.memory.clock.advance(60)
    name = await rig.announce(resource, operation="Microsoft.App/containerApps/delete")
    await rig.run(minutes=30)
    return name


def letters(rig: Rig) -> list[DeadLetter]:
    return [DeadLetter.model_validate(row.body) for row in rig.memory.state.rows.values() if row.table == "dead"]


def head(rig: Rig, resource: str = "/a") -> Head:
    return Head.model_validate(rig.memory.state.rows[(Head.TABLE, head_partition(resource), "")].body)


async def test_a_deleted_deployment_is_closed_and_its_last_verdict_stays_readable() -> None:
    rig = Rig()
    first = await judged(rig)
    told = len(rig.notifier.deliveries)
    rig.vanish("/a")
    name = await deleted(rig)

    closing = rig.assessments()[name]
    assert (closing.state, closing.error) == (AssessmentState.DONE, "")
    assert closing.closed_at == head(rig).closed_at == rig.verdict(first).closed_at
    assert rig.verdict(first).closed_at is not None
    assert rig.verdict(first).outcome is Outcome.PASS
    assert name not in rig.memory.records.verdicts
    assert letters(rig) == []
    assert len(rig.notifier.deliveries) == told


async def test_a_deployment_that_nobody_ever_saw_and_that_is_gone_is_closed_without_a_dead_letter() -> None:
    rig = Rig()
    rig.knows_all = True
    name = await rig.announce("/short-lived")
    await rig.run()
    assert rig.assessments()[name].closed_at is not None
    assert letters(rig) == []


async def test_a_deletion_of_what_a_platform_was_never_told_of_is_closed_too() -> None:
    rig = Rig()
    name = await deleted(rig, "/unknown")
    assert rig.assessments()[name].state is AssessmentState.DONE


async def test_what_a_platform_was_never_told_of_is_a_dead_letter_that_says_what_to_do() -> None:
    rig = Rig()
    name = await rig.announce("/unknown")
    await rig.run()
    assert rig.assessments()[name].state is AssessmentState.DEAD
    assert "describe it to one" in letters(rig)[0].error


async def test_a_deletion_that_comes_late_does_not_close_what_is_there_again() -> None:
    rig = Rig()
    await judged(rig)
    name = await deleted(rig)

    assert rig.verdict(name).closed_at is None
    assert head(rig).closed_at is None


async def test_what_comes_back_is_open_again() -> None:
    rig = Rig()
    first = await judged(rig)
    rig.vanish("/a")
    await deleted(rig)
    rig.memory.clock.advance(60)
    again = await judged(rig)

    assert rig.verdict(again).closed_at is None
    assert rig.verdict(first).closed_at is not None
    assert head(rig).closed_at is None


async def test_a_late_report_of_a_closed_deployment_tells_nobody() -> None:
    rig = Rig()
    rig.scanners["one"].findings = ("CVE-1",)
    rig.scanners["one"].wait_s = 3600
    rig.scan_timeout_s = 7200
    rig.deploy("/a", "bad:1")
    name = await rig.announce("/a")
    await rig.run(minutes=10)
    rig.vanish("/a")
    await deleted(rig)
    await rig.run(minutes=240)

    assert rig.verdict(name).outcome is Outcome.FAIL
    assert rig.verdict(name).closed_at is not None
    assert rig.notifier.got == {}
    assert rig.sink.got


async def test_an_observation_from_before_the_end_does_not_open_a_closed_deployment() -> None:
    rig = Rig()
    await judged(rig)
    seen = rig.memory.clock.now() + timedelta(seconds=30)
    rig.vanish("/a")
    await deleted(rig)
    deployment = next(iter(rig.memory.records.verdicts.values())).deployment
    await rig.engine._assess._heads.become("slow", deployment.model_copy(update={"seen_at": seen}))

    assert head(rig).closed_at is not None


@pytest.mark.parametrize("after", [pytest.param(False, id="before the call"), pytest.param(True, id="after the call")])
async def test_closing_survives_a_death_at_any_port_call(after: bool) -> None:
    calls = 0
    while True:
        rig = Rig()
        first = await judged(rig)
        rig.vanish("/a")
        rig.memory.clock.advance(60)
        name = await rig.announce("/a")
        rig.memory.faults.countdown, rig.memory.faults.after = calls, after
        await rig.run(minutes=30)

        assert rig.assessments()[name].closed_at is not None, calls
        assert rig.verdict(first).closed_at == head(rig).closed_at is not None
        if not rig.crashes and calls > 5:
            return
        rig.memory.faults.countdown = None
        calls += 1


async def test_an_unchanged_deployment_is_judged_again_and_nobody_is_told_again() -> None:
    rig = Rig()
    await judged(rig)
    told = len(rig.notifier.deliveries)
    rig.memory.clock.advance(60)
    again = await judged(rig)

    assert rig.verdict(again).outcome is Outcome.PASS
    assert len(rig.notifier.deliveries) == told


# --- found out by an inventory ------------------------------------------------------------------------------


def owns(resource: str) -> bool:
    return resource.startswith("/mine/")


async def test_an_inventory_notices_that_a_deployment_known_from_an_event_is_gone() -> None:
    rig = Rig()
    rig.sweeps["inventory"] = RigSweep(rig, owns=owns, every=timedelta(hours=1))
    await rig.sweep()
    await rig.run(minutes=5)
    first = await judged(rig, "/mine/a")
    other = await judged(rig, "/others/b")
    rig.vanish("/mine/a")
    rig.vanish("/others/b")
    await rig.run(minutes=70)

    assert rig.verdict(first).closed_at is not None
    assert rig.verdict(other).closed_at is None, "it is none of those that the job lists"
    assert not [row for row in rig.memory.state.rows.values() if row.table == "roster"]
    assert letters(rig) == []


async def test_what_an_inventory_does_not_list_and_the_platform_still_knows_stays_open() -> None:
    rig = Rig()
    sweep = RigSweep(rig, owns=owns, every=timedelta(hours=1))
    rig.sweeps["inventory"] = sweep
    first = await judged(rig, "/mine/a")
    await rig.sweep()
    await rig.run(minutes=5)
    sweep.pages = {"": sweep._listing("5")}
    await rig.run(minutes=61)

    assert [one.event.type for one in rig.assessments().values()] == ["write", "scanguard.missing"]
    assert rig.verdict(first).closed_at is None
    assert head(rig, "/mine/a").closed_at is None


async def test_what_cannot_be_asked_after_is_never_taken_for_gone() -> None:
    rig = Rig()
    rig.knows_all = True
    first = await judged(rig)
    rig.vanish("/a")
    rig.describe_faults += [PlatformError("down")] * rig.limits.attempts
    name = await deleted(rig)
    await rig.run(minutes=600)

    assert rig.assessments()[name].state is AssessmentState.DEAD
    assert rig.verdict(first).closed_at is None
