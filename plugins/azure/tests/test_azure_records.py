"""What the distribution offers: records that hold together, and quotas that keep Azure's limits."""

from __future__ import annotations

import heapq

import pytest
from arm_faults import TokenBucket
from arm_world import app_id, group_id, job_id
from scanguard_azure import plugin

from scanguard.engine.slots import SlotBook
from scanguard.errors import PlatformError


@pytest.mark.parametrize("calls", [1, 200, 1500])
@pytest.mark.parametrize("late", [False, True])
def test_the_quota_keeps_azures_limit_however_many_ask_at_once(calls: int, late: bool) -> None:
    (spec,) = plugin.scanguard_platforms()
    book = SlotBook(spec.quota, {})
    start = now = 1_800_000_000.0
    turns: list[float] = []
    slots: list[float] = []
    while len(slots) + len(turns) < calls:
        grant = book.take(now, spec.requests_per_call, 1.0, not_before=0.0, ahead_s=3600)
        if grant.booked and grant.at == now:
            turns.append(now)
        elif grant.booked:
            slots.append(grant.at)
        now = now if grant.booked else grant.at
    coming = [(slot + (20.0 if late and number % 3 else 0.0), slot) for number, slot in enumerate(slots)]
    heapq.heapify(coming)
    while coming:
        now, slot = heapq.heappop(coming)
        free = book.use(slot, spec.requests_per_call, now)
        if free <= now:
            turns.append(now)
        else:
            heapq.heappush(coming, (free, slot))
    moment = start
    bucket = TokenBucket(clock=lambda: moment)
    for moment in sorted(turns):  # noqa: B007  # the bucket's clock reads it
        for _ in range(spec.requests_per_call):
            bucket.wait_s()

    assert bucket.refused == 0
    assert max(turns) - start <= 2 * calls / 8 + 60, "and it is not slower than need be"


def test_reads_are_counted_by_subscription_in_any_case() -> None:
    (spec,) = plugin.scanguard_platforms()
    assert spec.quota_key is not None
    ids = [group_id("a", subscription="AB-1"), app_id("b", subscription="ab-1"), job_id("c", subscription="ab-2")]

    assert [spec.quota_key(id_) for id_ in ids] == ["ab-1", "ab-1", "ab-2"]
    assert spec.quota_key("/subscriptions/") == ""


def test_an_id_alone_says_enough_for_the_right_chain() -> None:
    (spec,) = plugin.scanguard_platforms()
    assert spec.outline is not None
    found = spec.outline(job_id("nightly", group="rg-batch"))

    assert (found.kind, found.name, found.resource_group) == ("container_app_job", "nightly", "rg-batch")
    assert found.containers == ()
    with pytest.raises(PlatformError):
        spec.outline("/subscriptions/x")


def test_platform_and_inventory_share_one_configuration_and_one_idea_of_what_is_theirs() -> None:
    (spec,) = plugin.scanguard_platforms()
    sweeps = {sweep.name: sweep for sweep in plugin.scanguard_sweeps()}

    assert sweeps["azure"].config is spec.config
    assert sweeps["azure"].owns is spec.owns
    assert sweeps["azure"].lists_all
    assert not sweeps["eventgrid_dead_letters"].lists_all
