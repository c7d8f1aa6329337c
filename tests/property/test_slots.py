"""No window of any limit ever holds more requests than it allows, and nobody waits without need."""

from __future__ import annotations

import heapq

from hypothesis import given, settings
from hypothesis import strategies as st

from scanguard.engine.slots import HORIZON_S, MAX_BUCKETS, PARTS, SlotBook
from scanguard.model.rate import Rate

RATES = st.lists(
    st.builds(Rate, requests=st.integers(1, 40), window_s=st.sampled_from([1.0, 10.0, 60.0, 600.0])),
    min_size=1,
    max_size=3,
    unique_by=lambda rate: rate.window_s,
)
STEPS = st.lists(
    st.tuples(
        st.floats(-5, 200),
        st.integers(1, 3),
        st.sampled_from([1.0, 0.8, 0.5]),
        st.one_of(st.just(0.0), st.floats(0, 30), st.floats(0, 900)),
    ),
    max_size=60,
)


def passed_on(book: SlotBook, rates: list[Rate]) -> SlotBook:
    """As the next worker reads it from the store."""
    taken = {rate: {int(bucket): count for bucket, count in slots.items()} for rate, slots in book.taken.items()}
    return SlotBook(rates, taken)


@given(rates=RATES, steps=STEPS)
@settings(deadline=None, max_examples=200)
def test_however_late_who_has_a_slot_comes_no_window_holds_more_than_is_allowed_and_everybody_goes(
    rates: list[Rate], steps: list[tuple[float, int, float, float]]
) -> None:
    """Each step is somebody who waits a while, asks, and comes for the slot as late as it says."""
    book = SlotBook(rates, {})
    now = 1_800_000_000.0
    coming: list[tuple[float, int, float | None]] = []
    for number, (wait, *_) in enumerate(steps):
        now += wait
        coming.append((now, number, None))
    heapq.heapify(coming)
    sent: list[float] = []
    tries = 0
    while coming:
        tries += 1
        assert tries < 5_000
        at, number, slot = heapq.heappop(coming)
        _, count, share, late = steps[number]
        most = min(count, *(max(1, int(rate.requests * share)) for rate in rates))
        if slot is None:
            grant = book.take(at, count, share, not_before=0.0, ahead_s=HORIZON_S)
            assert grant.at >= at
            free, slot = (grant.at, grant.at) if grant.booked else (grant.at, None)
        else:
            late = 0.0
            free = book.use(slot, count, at)
        if free > at or slot is None:
            heapq.heappush(coming, (free + late, number, slot))
        else:
            sent += [at] * most
        book = passed_on(book, rates)
    for rate in rates:
        for start in sent:
            inside = sum(start <= one < start + rate.window_s for one in sent)
            assert inside <= rate.requests, f"{inside} requests in a window of {rate}"


def test_who_comes_twice_with_one_slot_is_counted_twice_and_takes_nobodys_place() -> None:
    book = SlotBook([Rate.parse("2/m")], {})
    now = 1_800_000_000.0
    for _ in range(2):
        book.take(now, 1, 1.0, not_before=0.0, ahead_s=HORIZON_S)
    slot = book.take(now, 1, 1.0, not_before=0.0, ahead_s=HORIZON_S).at
    other = book.take(now, 1, 1.0, not_before=0.0, ahead_s=HORIZON_S).at
    assert slot == other > now
    assert book.use(slot, 1, slot) == slot
    assert book.use(slot, 1, slot + 3) == slot + 3, "it crashed, and came again"
    assert book.use(other, 1, slot + 3) > slot + 60


def test_what_a_version_wrote_that_did_not_note_what_went_out_counts_as_gone() -> None:
    rate, now = Rate.parse("2/m"), 1_800_000_000.0
    book = SlotBook([rate], {})
    for _ in range(2):
        book.take(now, 1, 1.0, not_before=0.0, ahead_s=HORIZON_S)
    slot = book.take(now, 1, 1.0, not_before=0.0, ahead_s=HORIZON_S).at
    older = SlotBook([rate], {str(rate): book.taken[str(rate)]})
    assert older.use(slot - 30, 1, now + 30) > now + 60
    assert older.use(slot, 1, now + 200) == now + 200


def test_a_limit_is_used_up_to_one_part_in_fifteen() -> None:
    rate = Rate.parse("300/h")
    book = SlotBook([rate, Rate.parse("30/m")], {})
    now, hours = 1_800_000_000.0, 6
    times = []
    while now < 1_800_000_000.0 + hours * 3600:
        grant = book.take(now, 1, 1.0, not_before=0.0, ahead_s=HORIZON_S)
        now = grant.at
        if grant.booked:
            times.append(grant.at)
    assert len(times) >= 300 * hours * PARTS / (PARTS + 2) - 20
    assert len(times) <= 300 * (hours + 1)


def test_who_must_leave_room_does_and_who_need_not_gets_it_at_once() -> None:
    book = SlotBook([Rate.parse("10/m")], {})
    now = 1_800_000_000.0
    modest = [book.take(now, 1, 0.8, not_before=0.0, ahead_s=0.0) for _ in range(10)]
    assert [grant.booked for grant in modest] == [True] * 8 + [False] * 2
    urgent = [book.take(now, 1, 1.0, not_before=0.0, ahead_s=0.0) for _ in range(3)]
    assert [grant.booked for grant in urgent] == [True, True, False]


def test_a_book_stays_small_however_many_ask() -> None:
    book = SlotBook([Rate.parse("5000/1s"), Rate.parse("300/h")], {})
    for number in range(20_000):
        book.take(1_800_000_000.0 + number, 1, 1.0, not_before=0.0, ahead_s=HORIZON_S)
    assert sum(len(slots) for slots in book.taken.values()) <= 2 * MAX_BUCKETS


def test_a_clock_that_went_back_does_not_block_for_ever() -> None:
    book = SlotBook([Rate.parse("10/m")], {})
    future = 1_800_086_400.0
    for _ in range(50):
        book.take(future, 1, 1.0, not_before=0.0, ahead_s=HORIZON_S)
    grant = book.take(future - 86_400, 1, 1.0, not_before=0.0, ahead_s=HORIZON_S)
    assert grant.booked
    assert grant.at == future - 86_400


def test_a_slot_that_was_not_used_is_given_to_the_next() -> None:
    book = SlotBook([Rate.parse("1/h")], {})
    now = 1_800_000_000.0
    first = book.take(now, 1, 1.0, not_before=0.0, ahead_s=HORIZON_S)
    assert not book.take(now, 1, 1.0, not_before=0.0, ahead_s=60.0).booked
    book.enter(first.at, -1)
    assert book.take(now, 1, 1.0, not_before=0.0, ahead_s=60.0).booked
