"""What is given up is seen, is taken up again, and completes what lacked it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from scanguard.app.dead_letters import DeadLetterDesk
from scanguard.engine.dead import DeadKind
from scanguard.engine.documents import CANCELLED, AssessmentState, TaskState, Waiter
from scanguard.engine.limits import EngineLimits
from scanguard.errors import (
    EventError,
    NotifyError,
    PlatformError,
    PluginMissingError,
    ScannerAuthError,
    ScannerUnavailableError,
)
from scanguard.model.verdict import Outcome
from scanguard.ports import MessageKind
from scanguard.testing.rig import Rig, RigScanner


def desk(rig: Rig) -> DeadLetterDesk:
    return DeadLetterDesk(rig.engine.context)


async def deployed(rig: Rig, resource: str, image: str = "app:1", *, force: bool = False) -> str:
    rig.deploy(resource, image)
    name = await rig.announce(resource, force=force)
    await rig.run()
    return name


async def replayed(rig: Rig) -> None:
    assert await desk(rig).replay(await desk(rig).all()) > 0
    await rig.run()


async def test_a_failed_scan_is_a_letter_and_its_replay_completes_every_verdict_that_lacked_it() -> None:
    rig = Rig()
    rig.scanners["one"].faults = [ScannerAuthError("no such user", plugin="one")]
    first = await deployed(rig, "/a")
    second = await deployed(rig, "/b")
    (letter,) = await desk(rig).all()
    assert (letter.kind, letter.subject, letter.instance) == (DeadKind.SCAN, "app:1", "one")
    assert (letter.error, letter.error_kind) == ("no such user", "ScannerAuthError")
    assert rig.verdict(first).outcome is rig.verdict(second).outcome is Outcome.UNKNOWN

    await replayed(rig)

    assert rig.verdict(first).outcome is rig.verdict(second).outcome is Outcome.PASS
    assert rig.verdict(first).revision == 2
    assert await desk(rig).all() == ()
    assert not [row for row in rig.memory.state.rows.values() if row.table == Waiter.TABLE]
    assert len(rig.scanners["one"].submitted) == 1


async def test_a_scan_that_succeeds_for_another_deployment_takes_its_letter_away_and_completes_the_first() -> None:
    rig = Rig()
    rig.scanners["one"].faults = [ScannerAuthError("no such user")]
    first = await deployed(rig, "/a")
    rig.memory.clock.advance(1)
    await deployed(rig, "/b", force=True)
    assert rig.verdict(first).outcome is Outcome.PASS
    assert await desk(rig).all() == ()


async def test_a_deployment_that_no_platform_knows_is_replayed_when_it_is_there() -> None:
    rig = Rig()
    name = await rig.announce("/gone")
    await rig.run()
    (letter,) = await desk(rig).all()
    assert (letter.kind, letter.subject) == (DeadKind.ASSESSMENT, "/gone")
    assert "no configured platform" in letter.error

    rig.deploy("/gone", "app:1")
    await replayed(rig)
    assert rig.verdict(name).outcome is Outcome.PASS
    assert await desk(rig).all() == ()


async def test_a_delivery_that_was_given_up_is_replayed_alone() -> None:
    rig = Rig()
    rig.notifier.faults = [NotifyError("the channel is gone")] * rig.limits.delivery_attempts
    name = await deployed(rig, "/a")
    (letter,) = await desk(rig).all()
    assert (letter.kind, letter.assessment, letter.instance) == (DeadKind.DELIVERY, name, "notifier")
    assert letter.attempts == rig.limits.delivery_attempts
    assert len(rig.sink.deliveries) == 1

    await replayed(rig)
    assert [verdict.id for verdict in rig.notifier.got.values()] == [name]
    assert len(rig.sink.deliveries) == 1, "what was delivered is not delivered again"
    assert await desk(rig).all() == ()


async def test_a_dropped_letter_stays_away_and_its_reason_is_kept() -> None:
    rig = Rig()
    name = await rig.announce("/gone")
    await rig.run()
    with pytest.raises(EventError, match="reason"):
        await desk(rig).drop(await desk(rig).all(), "  ")
    await desk(rig).drop(await desk(rig).all(), "decommissioned")
    await rig.announce("/other")
    await rig.run()

    assert rig.assessments()[name].dropped == "decommissioned"
    assert [letter.subject for letter in await desk(rig).all()] == ["/other"]


async def test_a_letter_that_no_longer_holds_is_not_shown() -> None:
    rig = Rig()
    name = await rig.announce("/late", event_id="1")
    await rig.run()
    (letter,) = await desk(rig).all()
    rig.deploy("/late", "app:1")
    await rig.announce("/late", event_id="1")
    await rig.run()
    await rig.engine.context.store.insert(letter, None)  # as a crash between two writes would leave it
    assert rig.assessments()[name].state is AssessmentState.DONE
    assert await desk(rig).all() == ()


async def test_replaying_a_scan_whose_scanner_is_gone_says_so_and_keeps_the_letter() -> None:
    rig = Rig()
    rig.scanners["one"].faults = [ScannerAuthError("no such user")]
    await deployed(rig, "/a")
    rig.scanners.clear()
    with pytest.raises(PluginMissingError):
        await desk(rig).replay(await desk(rig).all())
    assert len(await desk(rig).all()) == 1


async def test_an_image_that_keeps_failing_is_not_scanned_for_each_deployment_of_it() -> None:
    rig = Rig()
    rig.scanners["one"].faults = [ScannerAuthError("no such user")] * 100
    for number in range(20):
        await deployed(rig, f"/d/{number}")
        rig.memory.clock.advance(60)
    assert len(rig.scanners["one"].calls) == 1
    assert {verdict.outcome for verdict in rig.memory.records.verdicts.values()} == {Outcome.UNKNOWN}

    rig.memory.clock.advance(rig.limits.lasting_bar_s)
    await deployed(rig, "/later")
    assert len(rig.scanners["one"].calls) == 2, "after a while it is tried again"
    rig.memory.clock.advance(rig.limits.lasting_bar_s * 1.5)
    await deployed(rig, "/still")
    assert len(rig.scanners["one"].calls) == 2, "and then less often"
    await deployed(rig, "/forced", force=True)
    assert len(rig.scanners["one"].calls) == 3, "force asks at once"


async def test_a_failure_that_may_pass_bars_for_a_shorter_time() -> None:
    rig = Rig()
    rig.scanners["one"].faults = [ScannerUnavailableError("down")] * rig.limits.attempts
    await deployed(rig, "/a")
    rig.memory.clock.advance(rig.limits.bar_s + 1)
    assert rig.verdict(await deployed(rig, "/b")).outcome is Outcome.PASS


async def test_failure_belongs_to_the_place_and_another_place_is_tried_at_once() -> None:
    rig = Rig()
    rig.scanners["one"].faults = [ScannerAuthError("not from there")]
    await deployed(rig, "/a", "app:1@here")
    name = await deployed(rig, "/b", "app:1@there")
    assert rig.verdict(name).outcome is Outcome.PASS, "the same digest, read from another registry"


async def test_cancelling_makes_a_letter_that_says_so_and_ends_a_scan_nobody_waits_for() -> None:
    rig = Rig()
    rig.scanners["one"].wait_s = 3600
    rig.deploy("/a", "app:1")
    name = await rig.announce("/a")
    await rig.run(minutes=1)

    assert await desk(rig).cancel(name, "wrong image")
    assert not await desk(rig).cancel(name, "wrong image"), "only once"
    await rig.run()

    (letter,) = await desk(rig).all()
    assert (letter.kind, letter.error, letter.error_kind) == (DeadKind.ASSESSMENT, "cancelled: wrong image", CANCELLED)
    assert name not in rig.memory.records.verdicts
    assert len(rig.scanners["one"].calls) == 1, "it is not asked after any more"

    rig.scanners["one"].wait_s = 0
    await replayed(rig)
    assert rig.verdict(name).outcome is Outcome.PASS


async def test_cancelling_one_deployment_leaves_the_scan_to_the_other() -> None:
    rig = Rig()
    rig.scanners["one"].wait_s = 120
    names = []
    for resource in ("/a", "/b"):
        rig.deploy(resource, "app:1")
        names.append(await rig.announce(resource))
    await rig.run(minutes=1)
    assert await desk(rig).cancel(names[0], "enough")
    await rig.run()
    assert rig.verdict(names[1]).outcome is Outcome.PASS
    assert len(rig.scanners["one"].submitted) == 1


async def test_a_deployment_that_comes_after_a_cancelled_scan_starts_it_anew() -> None:
    rig = Rig()
    rig.scanners["one"].wait_s = 3600
    rig.deploy("/a", "app:1")
    name = await rig.announce("/a")
    await rig.run(minutes=1)
    await desk(rig).cancel(name, "enough")
    rig.scanners["one"].wait_s = 0
    assert rig.verdict(await deployed(rig, "/b")).outcome is Outcome.PASS


async def test_a_step_that_was_cancelled_while_it_ran_is_stopped_at_the_next_sign_of_life() -> None:
    rig = Rig(limits=EngineLimits(lease_s=0.3))
    scanner: RigScanner = rig.scanners["one"]
    scanner.hang = asyncio.Event()
    rig.deploy("/a", "app:1")
    name = await rig.announce("/a")
    await rig.work_once()
    working = asyncio.create_task(rig.work_once())
    await scanner.started.wait()

    assert await desk(rig).cancel(name, "enough")
    await asyncio.wait_for(working, 5)
    states = [row.body["state"] for row in rig.memory.state.rows.values() if row.table == "task"]
    assert states == [TaskState.FAILED]
    assert scanner.submitted == []


async def test_a_judged_assessment_cannot_be_cancelled() -> None:
    rig = Rig()
    name = await deployed(rig, "/a")
    assert not await desk(rig).cancel(name, "too late")
    assert not await desk(rig).cancel("0" * 32, "no such thing")
    assert rig.assessments()[name].state is AssessmentState.DONE


async def test_waiting_for_a_report_that_never_comes_ends_after_a_week() -> None:
    rig = Rig()
    rig.scanners["one"].faults = [ScannerAuthError("no such user")] * 100
    await deployed(rig, "/a")
    assert [row for row in rig.memory.state.rows.values() if row.table == Waiter.TABLE]
    rig.memory.clock.advance(timedelta(days=8).total_seconds())
    await deployed(rig, "/b")
    waiting = [row.key for row in rig.memory.state.rows.values() if row.table == Waiter.TABLE]
    assert len(waiting) == 1, "only the new one waits"


async def test_a_letter_survives_a_crash_at_any_moment_of_its_making() -> None:
    for calls in range(60):
        rig = Rig()
        rig.describe_faults = [PlatformError("down")] * 100
        await rig.announce("/a")
        rig.memory.faults.countdown = calls
        await rig.run(minutes=600)
        rig.memory.faults.countdown = None
        await rig.run(minutes=600)
        (letter,) = await desk(rig).all()
        assert letter.error == "down"
        assert all(item.message.kind is MessageKind.SWEEP for item in rig.memory.queue.items)
