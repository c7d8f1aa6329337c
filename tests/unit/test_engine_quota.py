"""Quotas are kept by everybody together, and nobody waits longer than needed."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from scanguard.engine.plan import Limited
from scanguard.engine.quota import Errand, Quota, Quotas, Turn
from scanguard.engine.store import Store
from scanguard.errors import BackendError, ScannerThrottledError
from scanguard.model.rate import Rate
from scanguard.model.verdict import Outcome
from scanguard.ports import Lane, StateStore
from scanguard.testing.memory import MemoryBackend
from scanguard.testing.rig import Rig


async def announced(rig: Rig, count: int, *, prefix: str = "app", lane: Lane = Lane.FRESH) -> list[str]:
    names = []
    for number in range(count):
        rig.deploy(f"/{prefix}/{number}", f"{prefix}{number}:1")
        names.append(await rig.announce(f"/{prefix}/{number}", lane=lane))
    return names


def times(rig: Rig) -> list[datetime]:
    return sorted(at for _, at in rig.scanners["one"].calls)


def most_within(moments: list[datetime], window: timedelta) -> int:
    return max(sum(start <= one < start + window for one in moments) for start in moments)


async def test_submits_and_polls_together_stay_below_every_limit_and_every_deployment_is_judged() -> None:
    rig = Rig()
    rig.rates = (Rate.parse("10/m"), Rate.parse("60/h"))
    rig.scanners["one"].wait_s = 45
    names = await announced(rig, 40)
    await rig.run(minutes=600)

    assert len(times(rig)) == 80, "a submit and a poll each, and not one request more"
    assert most_within(times(rig), timedelta(minutes=1)) <= 10
    assert most_within(times(rig), timedelta(hours=1)) <= 60
    assert times(rig)[-1] - times(rig)[0] < timedelta(minutes=110), "80 requests at 60 an hour"
    assert {rig.verdict(name).outcome for name in names} == {Outcome.PASS}


async def test_two_instances_have_a_quota_each() -> None:
    rig = Rig(scanners=("one", "two"))
    rig.rates = (Rate.parse("1/m"),)
    await announced(rig, 1)
    start = rig.memory.clock.now()
    await rig.run()
    assert [at for scanner in rig.scanners.values() for _, at in scanner.calls] == [start, start]


async def test_bulk_work_leaves_room_and_stands_behind_fresh_work() -> None:
    rig = Rig()
    rig.rates = (Rate.parse("10/m"),)
    await announced(rig, 60, prefix="old", lane=Lane.BULK)
    await rig.run(minutes=1.5)
    before = rig.memory.clock.now()
    fresh = await announced(rig, 15, prefix="new")
    await rig.run(minutes=600)

    latest = max(rig.verdict(name).decided_at for name in fresh)
    assert latest - before <= timedelta(minutes=2.5), "fresh work never waits for the bulk before it"
    assert len(times(rig)) == 75
    assert most_within(times(rig), timedelta(minutes=1)) <= 10
    assert times(rig)[-1] - times(rig)[0] < timedelta(minutes=13), "bulk uses all that is left"


async def test_a_fresh_deployment_of_an_image_that_bulk_work_waits_for_is_not_kept_waiting() -> None:
    rig = Rig()
    rig.rates = (Rate.parse("10/m"),)
    await announced(rig, 60, prefix="old", lane=Lane.BULK)
    await rig.run(minutes=0.5)
    before = rig.memory.clock.now()
    rig.deploy("/fresh", "old59:1")
    name = await rig.announce("/fresh")
    await rig.run(minutes=600)

    assert rig.verdict(name).decided_at - before <= timedelta(minutes=1.5)
    assert len(times(rig)) == 60, "it is still one scan"
    assert most_within(times(rig), timedelta(minutes=1)) <= 10


async def test_waiting_for_a_turn_does_not_use_up_the_time_a_scan_may_take() -> None:
    rig = Rig()
    rig.rates = (Rate.parse("10/h"),)
    rig.scan_timeout_s = 120.0
    names = await announced(rig, 40)
    await rig.run(minutes=60 * 10)
    assert {rig.verdict(name).outcome for name in names} == {Outcome.PASS}
    assert {rig.verdict(name).revision for name in names} == {1, 2}, "the late ones were unknown at their deadline"


async def test_being_told_to_slow_down_holds_for_every_scan_of_the_instance_and_costs_no_attempt() -> None:
    rig = Rig()
    names = await announced(rig, 20)
    rig.scanners["one"].faults = [ScannerThrottledError("slow down", retry_after_s=600)] * 3
    start = rig.memory.clock.now()
    await rig.run()

    early = [at for at in times(rig) if at < start + timedelta(seconds=600)]
    assert len(early) == 1, "after the first answer nobody asks again before it is allowed"
    assert {rig.verdict(name).outcome for name in names} == {Outcome.PASS}


async def test_a_quota_of_one_an_hour_is_still_shared_by_fresh_and_bulk() -> None:
    rig = Rig()
    rig.rates = (Rate.parse("1/h"),)
    await announced(rig, 2, prefix="old", lane=Lane.BULK)
    await announced(rig, 2, prefix="new")
    await rig.run(minutes=60 * 12)
    assert len(times(rig)) == 4
    assert most_within(times(rig), timedelta(hours=1)) == 1


async def test_the_book_of_a_busy_quota_stays_small() -> None:
    rig = Rig()
    rig.rates = (Rate.parse("30/m"), Rate.parse("300/h"))
    await announced(rig, 400)
    await rig.run(minutes=30)
    row = rig.memory.state.rows[(Quota.TABLE, "one", "")]
    assert len(str(row.body)) < 20_000


async def test_a_ticket_that_says_how_many_requests_its_poll_sends_gets_as_many() -> None:
    rig = Rig()
    rig.rates = (Rate.parse("10/m"),)
    rig.scanners["one"].stages = [0, 4]  # look whether it is there: no request of ours; fetch it: four
    names = await announced(rig, 12)
    await rig.run(minutes=600)

    fetched = sorted(at for what, at in rig.scanners["one"].calls if what == "poll-4")
    sent = [at for what, at in rig.scanners["one"].calls if what == "submit"] + [at for at in fetched for _ in range(4)]
    assert len(fetched) == 12
    assert most_within(sorted(sent), timedelta(minutes=1)) <= 10
    assert {rig.verdict(name).outcome for name in names} == {Outcome.PASS}


async def test_profiles_of_an_instance_share_its_quota_and_its_pauses() -> None:
    rig = Rig(scanners=("one", "one@deep"))
    rig.rates = (Rate.parse("1/m"),)
    await announced(rig, 1)
    start = rig.memory.clock.now()
    await rig.run()
    first, second = sorted(at for scanner in rig.scanners.values() for _, at in scanner.calls)
    assert first == start
    assert second >= start + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("rates", "hours", "least"),
    [
        pytest.param(("300/h", "30/m"), 1, 55, id="an-hour"),
        pytest.param(("300/h", "30/m"), 4, 250, id="four-hours"),
        pytest.param(("300/h",), 2, 115, id="no-limit-a-minute"),
        pytest.param(("60/10m",), 1, 60, id="ten-minutes"),
    ],
)
async def test_what_was_begun_is_finished_before_everything_else_is_begun(
    rates: tuple[str, ...], hours: int, least: int
) -> None:
    """Four requests a scan: of 300 an hour at most 75 scans are finished, of 60 in ten minutes 90 an hour."""
    rig = Rig()
    rig.rates = tuple(Rate.parse(rate) for rate in rates)
    rig.scanners["one"].wait_s = 180
    rig.scanners["one"].stages = [None, 2]
    names = await announced(rig, 400)
    await rig.run(minutes=60 * hours)

    verdicts = rig.memory.records.verdicts
    done = sum(verdicts[name].outcome is Outcome.PASS for name in names if name in verdicts)
    assert done >= least
    for rate in rig.rates:
        assert most_within(requests(rig), timedelta(seconds=rate.window_s)) <= rate.requests


def requests(rig: Rig) -> list[datetime]:
    """When each request was sent; the poll of the last stage sends two."""
    return sorted(at for what, at in rig.scanners["one"].calls for _ in range(2 if what == "poll-2" else 1))


async def test_those_of_one_process_who_want_a_slot_at_the_same_time_swap_the_row_once_and_get_slots_in_order() -> None:
    memory = MemoryBackend()
    state = SlowState(memory.state)
    quotas = Quotas(Store(state), memory.clock)
    limited = Limited("one", (Rate.parse("10/m"),))
    turns = await asyncio.gather(
        *(quotas.take(limited, 1, bulk=False, errand=Errand.CALL) for _ in range(100)),
    )
    assert [turn.is_now for turn in turns] == [True] * 10 + [False] * 90
    assert [turn.at for turn in turns] == sorted(turn.at for turn in turns)
    assert state.swaps <= 3

    turns = await asyncio.gather(
        *(quotas.take(limited, 1, bulk=False, errand=Errand.CALL, held=turn.slot) for turn in turns[10:20])
    )
    assert state.swaps <= 3, "who is not late changes nothing"
    assert not any(turn.is_now for turn in turns)


async def test_a_store_that_fails_fails_everybody_who_waits_and_nobody_is_stuck() -> None:
    memory = MemoryBackend()
    state = SlowState(memory.state)
    quotas = Quotas(Store(state), memory.clock)
    limited = Limited("one", (Rate.parse("10/m"),))

    async def take() -> Turn:
        return await quotas.take(limited, 1, bulk=False, errand=Errand.CALL)

    state.is_broken = True
    failed = await asyncio.gather(*(take() for _ in range(20)), return_exceptions=True)
    assert [type(one) for one in failed] == [BackendError] * 20
    state.is_broken = False
    first, *others = [asyncio.create_task(take()) for _ in range(20)]
    await asyncio.sleep(0)
    first.cancel()
    turns = await asyncio.gather(*others)
    assert sum(turn.is_now for turn in turns) == 10
    assert first.cancelled()


class SlowState:
    """Answers a moment later, and counts what is written over."""

    def __init__(self, state: StateStore) -> None:
        self._state = state
        self.swaps = 0
        self.is_broken = False

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any) -> Any:
            await asyncio.sleep(0.001)
            if self.is_broken:
                raise BackendError("storage is away")
            self.swaps += name == "replace"
            return await getattr(self._state, name)(*args)

        return call
