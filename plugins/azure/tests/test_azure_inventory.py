"""The inventory: everything that runs is looked at again, and what cannot be seen is never taken for nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from arm_faults import Fault
from arm_rig import Rig, azure_rig
from arm_world import SUBSCRIPTION, container_app, container_group, job
from scanguard_azure.arm import graph, inventory
from scanguard_azure.arm.inventory import AzureInventory

from scanguard.errors import PlatformError, PlatformForbiddenError, PlatformThrottledError
from scanguard.hooks import SweepPage

OTHER = "00000000-0000-0000-0000-000000000002"


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with azure_rig(tmp_path, monkeypatch) as made:
        yield made


async def whole(sweep: AzureInventory, *, pages: int = 50) -> list[SweepPage]:
    """Every page of one run."""
    done: list[SweepPage] = []
    cursor: str | None = ""
    while cursor is not None:
        assert len(done) < pages, "it does not end"
        done.append(await sweep.page(cursor))
        cursor = done[-1].cursor
    return done


def ids(pages: list[SweepPage]) -> list[str]:
    return [event.resource_id for page in pages for event in page.events]


async def test_every_workload_of_every_kind_is_listed_once(rig: Rig) -> None:
    wanted = [rig.world.put(make(f"x{n}", "nginx")) for make in (container_group, container_app, job) for n in range(4)]

    pages = await whole(rig.inventory())

    assert sorted(ids(pages)) == sorted(wanted)
    assert sorted(one for page in pages for one in page.listed) == sorted(wanted)
    assert sum(page.done for page in pages) == 12
    (query,) = rig.arm.queries
    assert query["subscriptions"] == [SUBSCRIPTION]
    assert "image" not in query["query"], "only ids are asked for"


async def test_two_thousand_workloads_come_a_thousand_a_page(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "ROWS", 10)  # a page of a thousand, in small
    wanted = [rig.world.put(container_group(f"g{number:03}", "nginx")) for number in range(25)]

    pages = await whole(rig.inventory())

    assert ids(pages) == wanted
    assert [len(page.events) for page in pages] == [10, 10, 5, 0]
    assert len(rig.arm.queries) == 3, "one query for each page"


async def test_a_page_that_is_asked_for_twice_makes_the_same_observations(rig: Rig) -> None:
    rig.world.put(container_group("a", "nginx"))
    sweep = rig.inventory()
    first = await sweep.page("")
    assert first.cursor is not None
    rig.clock.advance(timedelta(minutes=7).total_seconds())
    begun = json.loads(first.cursor)
    again = await sweep.page(json.dumps({**begun, "phase": "list", "at": 0, "pages": 0, "seen": "0"}))

    assert again.events == first.events


async def test_the_next_run_makes_new_observations_so_that_tags_are_resolved_again(rig: Rig) -> None:
    rig.world.put(container_group("a", "nginx:latest"))
    sweep = rig.inventory()
    first = await sweep.page("")
    rig.clock.advance(timedelta(hours=24).total_seconds())
    second = await sweep.page("")

    assert [one.resource_id for one in first.events] == [one.resource_id for one in second.events]
    assert {one.id for one in first.events}.isdisjoint({one.id for one in second.events})
    assert second.events[0].time == rig.clock.now()


async def test_three_hundred_subscriptions_go_in_one_query(rig: Rig) -> None:
    subscriptions = [f"00000000-0000-0000-0000-{number:012}" for number in range(1, 651)]
    rig.world.subscriptions = set(subscriptions)
    for subscription in subscriptions:
        rig.world.put(container_group("a", "nginx", subscription=subscription))

    pages = await whole(rig.inventory(subscriptions=subscriptions))

    assert [len(query["subscriptions"]) for query in rig.arm.queries] == [300, 300, 50]
    assert len(ids(pages)) == 650
    assert all(len(page.cursor or "") < 1000 for page in pages)


async def test_an_empty_subscription_is_empty_when_it_can_be_read(rig: Rig) -> None:
    pages = await whole(rig.inventory())

    assert ids(pages) == []
    assert rig.arm.calls[f"GET /subscriptions/{SUBSCRIPTION}"] == 1
    assert sum(1 for call in rig.arm.calls if call.startswith("GET")) == 4


@pytest.mark.parametrize(
    ("forbidden", "action"),
    [
        ("/subscriptions/", "Microsoft.Resources/subscriptions/read"),
        ("containergroups", "Microsoft.ContainerInstance/containerGroups/read"),
        ("/jobs", "Microsoft.App/jobs/read"),
    ],
)
async def test_nothing_listed_for_want_of_a_role_is_an_error_that_names_it(
    rig: Rig, forbidden: str, action: str
) -> None:
    rig.world.forbidden.add(forbidden)

    with pytest.raises(PlatformForbiddenError, match=rf"{action}.*{SUBSCRIPTION}"):
        await whole(rig.inventory())


async def test_one_subscription_without_a_role_does_not_hide_the_others(rig: Rig) -> None:
    wanted = rig.world.put(container_group("a", "nginx"))
    sweep = rig.inventory(subscriptions=[SUBSCRIPTION, OTHER])
    first = await sweep.page("")
    assert first.cursor is not None

    assert [event.resource_id for event in first.events] == [wanted]
    with pytest.raises(PlatformForbiddenError, match=OTHER) as refused:
        await sweep.page(first.cursor)
    assert SUBSCRIPTION not in refused.value.message


async def test_many_silent_subscriptions_are_read_a_few_at_a_time(rig: Rig) -> None:
    subscriptions = [f"00000000-0000-0000-0000-{number:012}" for number in range(1, 21)]
    rig.world.subscriptions = set(subscriptions[:-1])

    with pytest.raises(PlatformForbiddenError, match=subscriptions[-1]):
        await whole(rig.inventory(subscriptions=subscriptions))

    assert sum(1 for call in rig.arm.calls if call.startswith("GET")) >= 4 * 19


async def test_a_subscription_that_never_used_container_apps_is_empty(rig: Rig) -> None:
    rig.arm.faults = [Fault(status=409, code="MissingSubscriptionRegistration", path="*/microsoft.app/*")]

    assert ids(await whole(rig.inventory())) == []


async def test_a_graph_that_hides_what_is_there_is_seen_through(rig: Rig) -> None:
    id_ = rig.world.put(container_group("a", "nginx"))
    rig.world.hidden.add(id_.lower())

    with pytest.raises(PlatformForbiddenError, match="where something is"):
        await whole(rig.inventory())


async def test_a_quota_that_is_nearly_used_up_is_waited_for(rig: Rig) -> None:
    rig.world.put(container_group("a", "nginx"))
    rig.arm.graph_quota = 1

    page = await rig.inventory().page("")

    assert page.not_before == rig.clock.now() + timedelta(seconds=5)


async def test_a_quota_that_is_used_up_throttles(rig: Rig) -> None:
    rig.arm.graph_quota = 0

    with pytest.raises(PlatformThrottledError) as told:
        await rig.inventory().page("")

    assert told.value.retry_after_s == 5


async def test_an_identity_that_sees_too_many_subscriptions_is_told(rig: Rig) -> None:
    rig.world.put(container_group("a", "nginx"))
    rig.arm.graph_headers["x-ms-tenant-subscription-limit-hit"] = "true"

    with pytest.raises(PlatformForbiddenError, match="more subscriptions than Resource Graph looks through"):
        await whole(rig.inventory())


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": {}},
        {"data": None, "count": 3},
        {"data": [], "$skipToken": 7},
        {"data": [], "$skipToken": "x" * 20_000},
        {"data": [{}] * 2000},
    ],
    ids=range(6),
)
async def test_an_answer_of_another_shape_is_an_error(rig: Rig, body: dict[str, Any]) -> None:
    rig.arm.graph_answer = body

    with pytest.raises(PlatformError):
        await rig.inventory().page("")


@pytest.mark.parametrize("row", [None, {}, {"id": 7}, {"id": "/subscriptions/x/../y"}, {"id": "x" * 100_000}])
async def test_a_row_that_is_no_workload_makes_the_inventory_incomplete_not_broken(rig: Rig, row: Any) -> None:
    id_ = container_group("a", "nginx")["id"]
    rig.arm.graph_answer = {"data": [row, {"id": id_}], "count": 2}
    sweep = rig.inventory()
    page = await sweep.page("")
    assert page.cursor is not None

    assert list(page.listed) == [id_]
    with pytest.raises(PlatformForbiddenError, match="1 rows of Resource Graph are no workloads"):
        await sweep.page(page.cursor)


async def test_a_workload_of_a_subscription_that_was_not_asked_for_is_not_taken(rig: Rig) -> None:
    rig.arm.graph_answer = {"data": [{"id": container_group("a", "x", subscription=OTHER)["id"]}]}

    assert not (await rig.inventory().page("")).listed


async def test_a_token_that_leads_back_to_the_same_page_is_refused(rig: Rig) -> None:
    rig.arm.graph_answer = {"data": [], "$skipToken": "again"}
    sweep = rig.inventory()
    page = await sweep.page("")
    assert page.cursor is not None

    with pytest.raises(PlatformError, match="cannot be right"):
        await sweep.page(page.cursor)


async def test_an_inventory_without_end_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "MAX_PAGES", 5)  # twenty thousand, in small
    rig.world.subscriptions = {f"s-{number}" for number in range(100)}

    with pytest.raises(PlatformError, match="does not end"):
        await whole(rig.inventory(subscriptions=sorted(rig.world.subscriptions)))


@pytest.mark.parametrize("cursor", ["x", "{}", "[]", '{"run": "never", "of": ""}', "\x00" * 10_000])
async def test_a_cursor_that_cannot_be_read_is_an_error(rig: Rig, cursor: str) -> None:
    with pytest.raises(PlatformError, match="cursor"):
        await rig.inventory().page(cursor)


async def test_other_subscriptions_are_another_inventory(rig: Rig) -> None:
    rig.world.put(container_group("a", "nginx"))
    first = await rig.inventory().page("")
    rig.world.subscriptions.add(OTHER)
    assert first.cursor is not None

    page = await rig.inventory(subscriptions=[SUBSCRIPTION, OTHER]).page(first.cursor)

    assert len(page.listed) == 1, "it began anew"


@pytest.mark.parametrize("fault", [Fault(status=500), Fault("reset"), Fault("html"), Fault("truncated")])
async def test_a_page_that_fails_is_asked_for_again(rig: Rig, fault: Fault) -> None:
    rig.world.put(container_group("a", "nginx"))
    fault.times = 1
    rig.arm.faults = [fault]
    sweep = rig.inventory()

    with pytest.raises(PlatformError) as failed:
        await sweep.page("")
    assert failed.value.is_retryable
    assert len(ids(await whole(sweep))) == 1


async def test_forbidden_to_query_names_what_to_grant(rig: Rig) -> None:
    rig.arm.faults = [Fault(status=403, code="Forbidden", path="*resourcegraph*")]

    with pytest.raises(PlatformForbiddenError, match="containerGroups/read"):
        await rig.inventory().page("")
