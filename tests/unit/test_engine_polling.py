"""Scanners that can ask after many scans at once are asked so, and each scan is still its own."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from scanguard.engine.documents import Waiter
from scanguard.engine.polling import Polled
from scanguard.errors import ScannerOutputError, ScannerThrottledError, ScannerUnavailableError
from scanguard.hooks import Ticket
from scanguard.model.rate import Rate
from scanguard.model.verdict import Outcome
from scanguard.testing.rig import Rig


def batch_rig(*, at_once: int = 100, wait_s: float = 60) -> Rig:
    rig = Rig()
    rig.poll_many = at_once
    rig.scanners["one"].wait_s = wait_s
    return rig


async def announced(rig: Rig, count: int) -> list[str]:
    names = []
    for number in range(count):
        rig.deploy(f"/d/{number}", f"app{number}:1")
        names.append(await rig.announce(f"/d/{number}"))
    return names


async def test_many_scans_are_asked_after_with_few_requests_and_each_gets_its_verdict() -> None:
    rig = batch_rig(at_once=50)
    names = await announced(rig, 120)
    await rig.run()

    assert {rig.verdict(name).outcome for name in names} == {Outcome.PASS}
    calls = [what for what, _ in rig.scanners["one"].calls]
    assert calls.count("poll") == 0
    assert calls.count("poll_many") <= 5
    assert sum(rig.scanners["one"].asked) == 120
    assert rig.open_rows() == []
    assert not [row for row in rig.memory.state.rows.values() if row.table in {Polled.TABLE, Waiter.TABLE}]


async def test_scans_that_are_not_due_yet_are_not_asked_after() -> None:
    rig = batch_rig()
    await announced(rig, 3)
    await rig.run(minutes=0.5)
    rig.scanners["one"].wait_s = 600
    rig.deploy("/late", "late:1")
    late = await rig.announce("/late")
    await rig.run(minutes=5)
    assert sum(rig.scanners["one"].asked) == 3
    assert late not in rig.memory.records.verdicts
    await rig.run()
    assert rig.verdict(late).outcome is Outcome.PASS


async def test_one_ticket_that_fails_or_goes_on_does_not_hold_up_the_others() -> None:
    rig = batch_rig()
    names = await announced(rig, 4)
    await rig.run(minutes=0.5)
    now = rig.memory.clock.now()
    rig.scanners["one"].ticket_faults = [ScannerOutputError("unreadable"), ScannerUnavailableError("later")]
    await rig.run()

    outcomes = sorted(rig.verdict(name).outcome for name in names)
    assert outcomes.count(Outcome.UNKNOWN) == 1, "an unreadable answer is nobody's pass"
    assert outcomes.count(Outcome.PASS) == 3, "what may pass is asked again"
    assert rig.memory.clock.now() - now < timedelta(hours=4)


async def test_a_ticket_that_goes_on_is_asked_after_when_it_said() -> None:
    rig = batch_rig()
    (name,) = await announced(rig, 1)
    await rig.run(minutes=0.5)
    scanner = rig.scanners["one"]
    later = rig.memory.clock.now() + timedelta(minutes=20)
    scanner.ticket_faults = [Ticket({"key": next(iter(scanner.tickets))}, later)]
    await rig.run()
    polls = [at for what, at in scanner.calls if what == "poll_many"]
    assert len(polls) == 2
    assert later <= polls[1] <= later + timedelta(seconds=2)
    assert rig.verdict(name).outcome is Outcome.PASS


async def test_polls_wait_for_their_slot_together() -> None:
    rig = batch_rig(at_once=10)
    rig.rates = (Rate.parse("20/m"),)
    names = await announced(rig, 100)
    await rig.run()
    calls = [at for _, at in rig.scanners["one"].calls]
    assert len(calls) <= 100 + 30, "a request each to submit, and few to ask after all"
    assert max(sum(start <= at < start + timedelta(minutes=1) for at in calls) for start in calls) <= 20
    assert {rig.verdict(name).outcome for name in names} == {Outcome.PASS}


async def test_being_told_to_slow_down_costs_no_attempt_of_any_scan() -> None:
    rig = batch_rig()
    names = await announced(rig, 5)
    await rig.run(minutes=0.5)
    start = rig.memory.clock.now()
    rig.scanners["one"].faults = [ScannerThrottledError("slow down", retry_after_s=300)] * 6
    await rig.run(minutes=24 * 60)
    polls = [at for what, at in rig.scanners["one"].calls if what == "poll_many"]
    assert all(later - earlier >= timedelta(seconds=300) for earlier, later in pairwise(polls[:6]))
    assert polls[-1] > start
    assert {rig.verdict(name).outcome for name in names} == {Outcome.PASS}


async def test_a_scanner_that_answers_too_few_tickets_breaks_its_contract_and_clears_nobody() -> None:
    rig = batch_rig()
    names = await announced(rig, 3)
    await rig.run(minutes=0.5)

    async def short(tickets: object) -> list[Ticket]:
        return []

    rig.scanners["one"].poll_many = short  # type: ignore[method-assign]  # a plugin with a fault
    await rig.run()
    assert {rig.verdict(name).outcome for name in names} == {Outcome.UNKNOWN}


async def test_a_thousand_pending_scans_are_held_and_asked_after_in_time() -> None:
    rig = batch_rig(at_once=200, wait_s=300)
    names = await announced(rig, 1_000)
    await rig.run()
    assert {rig.verdict(name).outcome for name in names} == {Outcome.PASS}
    assert len(rig.scanners["one"].asked) <= 12


async def test_a_ticket_that_needs_requests_of_its_own_leaves_the_common_polls() -> None:
    rig = batch_rig()
    rig.scanners["one"].stages = [None, 3]
    names = await announced(rig, 5)
    await rig.run()

    assert {rig.verdict(name).outcome for name in names} == {Outcome.PASS}
    calls = [what for what, _ in rig.scanners["one"].calls]
    assert calls.count("poll_many") == 1
    assert calls.count("poll-3") == 5
    assert not [row for row in rig.memory.state.rows.values() if row.table == Polled.TABLE]
