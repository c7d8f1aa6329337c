"""Periodic jobs of plugins: on time, page by page, nothing lost and nothing for ever."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from scanguard.engine.jobs import JOBS, Job, JobStep, Schedule
from scanguard.engine.messages import job_message
from scanguard.engine.quota import Quota
from scanguard.engine.roster import RosterEntry
from scanguard.errors import ConfigError, PlatformThrottledError, SweepError
from scanguard.hooks import SweepPage
from scanguard.model.deployment import Event
from scanguard.model.rate import Rate
from scanguard.ports import Lane, MessageKind, Outgoing
from scanguard.testing.memory import Crash
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigSweep


def event(rig: Rig, resource: str, number: int = 1) -> Event:
    return Event(id=str(number), source="job", type="rig.found", resource_id=resource, time=rig.memory.clock.now())


def with_job(rig: Rig, **options: object) -> RigSweep:
    rig.sweeps["inventory"] = RigSweep(rig, **options)  # type: ignore[arg-type]  # fields of the job
    return rig.sweeps["inventory"]


def job(rig: Rig) -> Job:
    return Job.model_validate(rig.memory.state.rows[(Job.TABLE, JOBS, "inventory")].body)


def cursors(sweep: RigSweep) -> list[str]:
    return [cursor for cursor, _ in sweep.asked]


async def run_for(rig: Rig, **span: float) -> None:
    """Let time pass as a worker sees it."""
    end = rig.memory.clock.now() + timedelta(**span)
    await rig.sweep()
    await rig.run(minutes=(end - rig.memory.clock.now()).total_seconds() / 60)
    rig.memory.clock.moment = end


async def test_a_job_runs_at_once_and_then_every_so_often_from_its_first_page() -> None:
    rig = Rig()
    sweep = with_job(rig, pages={"": SweepPage(cursor="2", done=3), "2": SweepPage(done=4)}, every=timedelta(hours=1))
    start = rig.memory.clock.now()
    await run_for(rig, minutes=150)

    assert cursors(sweep) == ["", "2"] * 3
    began = [at - start for cursor, at in sweep.asked if not cursor]
    assert [round(at / timedelta(hours=1), 1) for at in began] == [0, 1, 2]
    assert (job(rig).done, job(rig).step, job(rig).run) == (7, JobStep.REST, 3)


async def test_what_a_page_gives_is_assessed_in_the_slow_lane() -> None:
    rig = Rig()
    rig.deploy("/a", "clean:1")
    with_job(rig, pages={"": SweepPage(events=[event(rig, "/a")])})
    await run_for(rig, minutes=5)

    [assessment] = rig.assessments().values()
    assert (assessment.state, assessment.lane) == ("done", Lane.BULK)


async def test_events_are_durable_before_the_next_page_is_asked_for() -> None:
    """A job may remove in its second page what the first one made safe."""
    rig = Rig()
    rig.deploy("/a", "clean:1")
    sweep = with_job(rig, pages={"": SweepPage(events=[event(rig, "/a")], cursor="remove"), "remove": SweepPage()})
    rig.memory.queue.items.clear()
    await rig.engine.ensure_jobs()
    await rig.engine.handle(job_message("inventory", 0))

    assert [item.message.kind for item in rig.memory.queue.items] == [MessageKind.INTAKE]
    assert job(rig).cursor == "remove"
    assert cursors(sweep) == [""]


@pytest.mark.parametrize("after", [pytest.param(False, id="before the call"), pytest.param(True, id="after the call")])
async def test_a_job_that_dies_at_any_port_call_goes_on_and_loses_nothing(after: bool) -> None:
    calls = 0
    while True:
        rig = Rig()
        for name in "abc":
            rig.deploy(f"/{name}", f"{name}:1")
        pages = {"": SweepPage(events=[event(rig, "/a"), event(rig, "/b")], cursor="2", done=2)}
        pages["2"] = SweepPage(events=[event(rig, "/c")], done=1)
        with_job(rig, pages=pages)
        rig.memory.faults.countdown, rig.memory.faults.after = calls, after
        try:
            await rig.engine.ensure_jobs()
        except Crash:
            rig.restart()
        await run_for(rig, hours=20)

        assert sorted(one.event.resource_id for one in rig.assessments().values()) == ["/a", "/b", "/c"], calls
        assert {one.state for one in rig.assessments().values()} == {"done"}
        assert (job(rig).step, job(rig).done, job(rig).run) == (JobStep.REST, 3, 1)
        if not rig.crashes and calls > 5:
            return
        calls += 1


async def test_a_page_that_is_announced_twice_is_done_once() -> None:
    rig = Rig()
    sweep = with_job(rig, pages={"": SweepPage(cursor="2"), "2": SweepPage()})
    await rig.engine.ensure_jobs()
    message = Outgoing(job_message("inventory", 0))
    await rig.memory.queue.send([message, message, message])
    await rig.run(minutes=60)

    assert cursors(sweep) == ["", "2"]


async def test_two_workers_with_the_same_page_ask_the_plugin_once() -> None:
    rig = Rig()
    sweep = with_job(rig, pages={"": SweepPage()})
    await rig.engine.ensure_jobs()
    message = Outgoing(job_message("inventory", 0))
    await rig.memory.queue.send([message, message])
    await rig.work_once(at_once=2)

    assert cursors(sweep) == [""]


async def test_a_failing_page_is_tried_again_with_growing_pauses_and_says_why() -> None:
    rig = Rig()
    sweep = with_job(rig, pages={"": SweepPage()}, faults=[SweepError("down") for _ in range(3)])
    await rig.engine.ensure_jobs()
    await rig.sweep()
    await rig.work_once()
    assert (job(rig).error, job(rig).failures, job(rig).failed_at) == ("down", 1, None)
    await run_for(rig, hours=1)

    times = [at for _, at in sweep.asked]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(pauses) == 3
    assert pauses == sorted(pauses)
    assert (job(rig).error, job(rig).failures, job(rig).step) == ("", 0, JobStep.REST)


async def test_what_asks_to_be_left_alone_is_left_alone() -> None:
    rig = Rig()
    sweep = with_job(rig, pages={"": SweepPage()}, faults=[SweepError("slow down", retry_after_s=900)])
    await run_for(rig, hours=1)

    first, second = (at for _, at in sweep.asked)
    assert second - first >= timedelta(seconds=900)


async def test_a_platform_that_throttles_a_job_is_left_alone_by_all_and_no_attempt_is_used() -> None:
    rig = Rig()
    faults = [PlatformThrottledError("slow down", retry_after_s=300) for _ in range(20)]
    sweep = with_job(rig, pages={"": SweepPage()}, faults=list(faults), rates=(Rate.parse("100/m"),))
    await rig.sweep()
    await rig.work_once()
    closed = Quota.model_validate(rig.memory.state.rows[(Quota.TABLE, "inventory", "")].body).closed_until
    assert closed is not None
    assert closed >= rig.memory.clock.now() + timedelta(seconds=300)
    await run_for(rig, hours=5)

    assert len(sweep.asked) == 21
    assert (job(rig).error, job(rig).step) == ("", JobStep.REST)


async def test_a_job_that_fails_for_good_is_visible_and_starts_anew_at_its_next_time() -> None:
    rig = Rig()
    pages = {"": SweepPage(cursor="2"), "2": SweepPage()}
    sweep = with_job(rig, pages=pages, every=timedelta(hours=6))
    sweep.faults += [ConfigError("no such table")]
    await run_for(rig, hours=5)
    assert (job(rig).error, job(rig).error_kind, job(rig).step) == ("no such table", "ConfigError", JobStep.REST)
    assert job(rig).failed_at is not None
    assert cursors(sweep) == [""]

    await run_for(rig, hours=2)
    assert cursors(sweep) == ["", "", "2"]
    assert (job(rig).error, job(rig).failed_at) == ("", None)


async def test_a_job_that_never_succeeds_is_given_up_before_it_is_tried_for_ever() -> None:
    rig = Rig()
    sweep = with_job(rig, pages={"": SweepPage()}, every=timedelta(days=30))
    sweep.faults += [SweepError("down") for _ in range(1000)]
    await run_for(rig, days=5)

    assert len(sweep.asked) == rig.limits.delivery_attempts
    assert job(rig).failed_at is not None


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(SweepPage(cursor=""), id="empty cursor"),
        pytest.param(SweepPage(events=["no event"]), id="no event"),  # type: ignore[list-item]  # that is the test
        pytest.param(SweepPage(listed=[""]), id="empty resource"),
        pytest.param(None, id="nothing"),
    ],
)
async def test_garbage_from_a_job_is_named_and_loops_nothing(page: SweepPage) -> None:
    rig = Rig()
    sweep = with_job(rig, pages={"": page})
    await run_for(rig, hours=5)

    assert job(rig).error_kind == "PluginContractError"
    assert len(sweep.asked) == 1


async def test_pages_keep_the_quota_of_their_instance() -> None:
    rig = Rig()
    pages = {"": SweepPage(cursor="1"), **{str(n): SweepPage(cursor=str(n + 1)) for n in range(1, 9)}, "9": SweepPage()}
    sweep = with_job(rig, pages=pages, rates=(Rate.parse("2/m"),))
    await run_for(rig, hours=2)

    times = [at for _, at in sweep.asked]
    assert len(times) == 10
    assert all(later - earlier >= timedelta(seconds=60) for earlier, later in zip(times, times[2:], strict=False))


async def test_a_page_that_is_asked_to_wait_waits() -> None:
    rig = Rig()
    later = rig.memory.clock.now() + timedelta(minutes=20)
    sweep = with_job(rig, pages={"": SweepPage(cursor="2", not_before=later), "2": SweepPage()})
    await run_for(rig, hours=1)

    assert sweep.asked[1][1] >= later


async def test_a_job_that_is_configured_no_more_rests_and_goes_on_when_it_is_again() -> None:
    rig = Rig()
    sweep = with_job(rig, pages={"": SweepPage()}, every=timedelta(hours=1))
    await run_for(rig, minutes=10)
    del rig.sweeps["inventory"]
    await run_for(rig, hours=5)
    assert rig.open_rows() == []
    assert job(rig).error == ""

    rig.sweeps["inventory"] = sweep
    await run_for(rig, minutes=5)
    assert len(sweep.asked) == 2


async def test_a_job_that_is_switched_off_never_starts() -> None:
    rig = Rig()
    sweep = with_job(rig, pages={"": SweepPage()}, every=None)
    await run_for(rig, hours=5)
    assert sweep.asked == []


async def test_a_shorter_interval_counts_from_the_last_start() -> None:
    rig = Rig()
    sweep = with_job(rig, pages={"": SweepPage()}, every=timedelta(days=7))
    await run_for(rig, hours=2)
    sweep.every = timedelta(hours=3)
    await run_for(rig, minutes=5)
    await run_for(rig, hours=2)
    assert len(sweep.asked) == 2


async def test_a_job_can_be_started_by_hand() -> None:
    rig = Rig()
    sweep = with_job(rig, pages={"": SweepPage()}, every=timedelta(days=7))
    await run_for(rig, hours=2)
    schedule = Schedule(rig.engine.context.store, rig.engine.context.host)
    started = await schedule.run_now("inventory", rig.memory.clock.now())
    await run_for(rig, minutes=5)

    assert started is not None
    assert len(sweep.asked) == 2
    assert await schedule.run_now("nobody", rig.memory.clock.now()) is None


async def test_events_that_the_configuration_ignores_are_left_out() -> None:
    rig = Rig()
    rig.deploy("/own", "clean:1")
    rig.ignored["/own"] = "it is scanguard's own"
    with_job(rig, pages={"": SweepPage(events=[event(rig, "/own")])})
    await run_for(rig, minutes=5)
    assert rig.assessments() == {}


# --- jobs that list everything ------------------------------------------------------------------------------


def owns(resource: str) -> bool:
    return resource.lower().startswith("/mine/")


def entered(rig: Rig) -> dict[str, int]:
    rows = [RosterEntry.model_validate(row.body) for row in rig.memory.state.rows.values() if row.table == "roster"]
    return {row.resource: row.run for row in rows}


async def test_a_deployment_that_is_listed_no_more_is_asked_after() -> None:
    rig = Rig()
    for number in range(5):
        rig.deploy(f"/mine/{number}", "clean:1")
    with_job(rig, owns=owns, every=timedelta(hours=1))
    await run_for(rig, minutes=10)
    assert rig.assessments() == {}
    assert entered(rig) == {f"/mine/{number}": 1 for number in range(5)}

    rig.vanish("/mine/3")
    await run_for(rig, hours=1)
    [asked] = [one.event for one in rig.assessments().values()]
    assert (asked.type, asked.resource_id, asked.source) == ("scanguard.missing", "/mine/3", "scanguard")
    assert "2" in asked.id, "each run asks anew"


async def test_more_deployments_than_fit_in_a_page_of_the_roster_are_all_looked_through() -> None:
    rig = Rig()
    names = [f"/mine/{number}" for number in range(1700)]
    sweep = with_job(rig, pages={"": SweepPage(listed=names)}, owns=owns, every=timedelta(hours=100))
    await run_for(rig, minutes=10)
    sweep.pages = {"": SweepPage(listed=names[:1000])}
    await Schedule(rig.engine.context.store, rig.engine.context.host).run_now("inventory", rig.memory.clock.now())
    await run_for(rig, minutes=10)
    assert {one.event.resource_id for one in rig.assessments().values()} == set(names[1000:])


async def test_a_run_that_was_given_up_half_way_asks_after_nothing() -> None:
    rig = Rig()
    for number in range(5):
        rig.deploy(f"/mine/{number}", "clean:1")
    sweep = with_job(rig, owns=owns, every=timedelta(hours=1))
    await run_for(rig, minutes=10)
    sweep.faults += [ConfigError("forbidden")]
    await run_for(rig, hours=1)
    assert rig.assessments() == {}
