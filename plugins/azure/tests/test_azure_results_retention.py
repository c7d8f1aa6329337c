"""The retention job on a real Azurite: what is old goes, all of it, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from results_account import ResultsAccount, image, notice
from scanguard_azure import results_sweep
from scanguard_azure.results_sink import account_clients, made
from scanguard_azure.results_sweep import ResultsSweep

from scanguard.errors import SinkError
from scanguard.hooks import Notice
from scanguard.model.verdict import ImageVerdict
from scanguard.testing.samples import NOW

pytestmark = pytest.mark.integration
DAY = timedelta(days=1)


@asynccontextmanager
async def sweeping(account: ResultsAccount, folder: Path, **options: object) -> AsyncIterator[ResultsSweep]:
    sweep = ResultsSweep(account.config(**options), account.context(folder))
    try:
        yield sweep
    finally:
        await sweep.aclose()


async def fill(account: ResultsAccount, folder: Path, ages: dict[str, timedelta]) -> None:
    """A deployment of each age, by name."""
    async with account.sink(folder) as sink:
        for name, age in ages.items():
            await sink.write(at(NOW - age, name))


def at(moment: datetime, name: str, *images: ImageVerdict) -> Notice:
    deployment = notice(name=name).verdict.deployment.model_copy(update={"seen_at": moment})
    return notice(*images, name=name, decided_at=moment, deployment=deployment)


async def names(account: ResultsAccount, *, recent: bool = False) -> set[str]:
    return {str(row["ResourceId"]).rpartition("/")[2] for row in await account.rows(recent=recent)}


async def sweep_all(sweep: ResultsSweep) -> int:
    done, cursor = 0, ""
    for _ in range(100):
        page = await sweep.page(cursor)
        done += page.done
        if page.cursor is None:
            return done
        cursor = page.cursor
    raise AssertionError("it never ends")


async def test_rows_older_than_the_retention_go_and_younger_ones_stay(account: ResultsAccount, tmp_path: Path) -> None:
    await fill(account, tmp_path, {"old": 92 * DAY, "older": 400 * DAY, "young": 89 * DAY, "new": 0 * DAY})
    async with sweeping(account, tmp_path) as sweep:
        assert await sweep_all(sweep) == 2
        assert await names(account) == await names(account, recent=True) == {"young", "new"}
        assert len(await account.blobs()) == 4, "a lifecycle rule deletes documents"
        assert await sweep_all(sweep) == 0


async def test_documents_go_too_where_that_is_asked_for(account: ResultsAccount, tmp_path: Path) -> None:
    await fill(account, tmp_path, {"old": 92 * DAY, "gone": 93 * DAY, "new": 0 * DAY})
    gone = next(row["BlobPath"] for row in await account.rows() if str(row["ResourceId"]).endswith("gone"))
    await account.delete_blob(gone)  # by a lifecycle rule, or by a person
    async with sweeping(account, tmp_path, delete_blobs=True) as sweep:
        assert await sweep_all(sweep) == 2
    (blob,) = await account.blobs()
    assert blob == (await account.rows())[0]["BlobPath"]


async def test_nothing_goes_when_it_is_switched_off(account: ResultsAccount, tmp_path: Path) -> None:
    await fill(account, tmp_path, {"old": 3_000 * DAY})
    async with sweeping(account, tmp_path, retention=None) as sweep:
        assert await sweep_all(sweep) == 0
    assert await names(account) == {"old"}


async def test_an_old_result_that_was_judged_again_stays(account: ResultsAccount, tmp_path: Path) -> None:
    await fill(account, tmp_path, {"old": 95 * DAY})
    seen = at(NOW - 95 * DAY, "old").verdict.deployment
    stale = (await account.rows(recent=True))[0]
    async with account.sink(tmp_path) as sink:
        await sink.write(notice(name="old", revision=2, decided_at=NOW - 2 * DAY, deployment=seen))
    await account.insert(dict(stale), recent=True)  # as a worker leaves it that dies at the wrong moment
    async with sweeping(account, tmp_path, delete_blobs=True) as sweep:
        assert await sweep_all(sweep) == 1
    row, _ = await account.one_of_each()
    assert row["Revision"] == 2


async def test_pages_follow_each_other_by_the_cursor_and_may_be_asked_for_twice(
    account: ResultsAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_sweep, "PAGE_ROWS", 3)
    await fill(account, tmp_path, {f"d{number}": (91 + number) * DAY for number in range(7)})
    async with sweeping(account, tmp_path) as sweep:
        first = await sweep.page("")
        assert first.done == 3
        assert first.cursor is not None
        again = await sweep.page("")
        assert again.done == 3, "the same page again takes what is there"
        assert (await sweep.page(again.cursor or "")).cursor is None
    assert await names(account) == set()


async def test_hundreds_of_rows_of_few_images_go_in_batches(account: ResultsAccount, tmp_path: Path) -> None:
    images = [image(f"shop.example/web:{number}") for number in range(60)]
    async with account.sink(tmp_path) as sink:
        for number in range(4):
            moment = NOW - 100 * DAY + timedelta(minutes=number)
            await sink.write(at(moment, f"d{number}", *images))
        await sink.write(at(NOW, "new"))
    async with sweeping(account, tmp_path) as sweep:
        page = await sweep.page("")
    assert (page.done, page.cursor) == (240, None)
    assert await names(account) == await names(account, recent=True) == {"new"}


async def test_a_row_that_somebody_deletes_meanwhile_stops_nothing(account: ResultsAccount, tmp_path: Path) -> None:
    await fill(account, tmp_path, dict.fromkeys(("a", "b", "c"), 92 * DAY))
    async with sweeping(account, tmp_path) as sweep, sweeping(account, tmp_path) as other:
        await asyncio.gather(sweep.page(""), other.page(""), sweep.page(""))
    assert await account.rows() == await account.rows(recent=True) == []


async def test_rows_by_day_that_others_wrote_go_without_harm(account: ResultsAccount, tmp_path: Path) -> None:
    await fill(account, tmp_path, {"new": 0 * DAY})
    await account.insert({"PartitionKey": "20200101", "RowKey": "odd"}, recent=True)
    await account.insert({"PartitionKey": "20200101", "RowKey": "odder", "ImageKey": "'/'"}, recent=True)
    async with sweeping(account, tmp_path) as sweep:
        assert await sweep_all(sweep) == 2
    assert await names(account, recent=True) == {"new"}


@pytest.mark.parametrize("cursor", ["x", "20260101", "20260101/\x00", "20260101/" + "9" * 5_000, "🐳"])
async def test_a_cursor_that_is_none_starts_anew(account: ResultsAccount, tmp_path: Path, cursor: str) -> None:
    await fill(account, tmp_path, {"old": 92 * DAY})
    async with sweeping(account, tmp_path) as sweep:
        assert (await sweep.page(cursor)).done == 1


async def test_tables_that_are_missing_are_named(account: ResultsAccount, tmp_path: Path) -> None:
    async with sweeping(account, tmp_path, create=False) as sweep:
        with pytest.raises(SinkError, match=f"table '{account.name}Recent' is missing.*create"):
            await sweep.page("")


async def test_a_row_that_changes_or_goes_under_our_hands_stops_no_other(
    account: ResultsAccount, tmp_path: Path
) -> None:
    await fill(account, tmp_path, dict.fromkeys(("a", "b", "c"), 92 * DAY))
    clients = account_clients(account.config(), account.context(tmp_path))
    place = await made(account.config(), clients)
    old = await place.removal.oldest("20260901", "", 10)
    assert len(old) == 3
    await place.by_day.delete_entity(old[0].entity)
    await place.by_day.update_entity({**old[1].entity, "Chain": "changed"})
    await place.removal.remove(old, with_blobs=False)
    await clients.aclose()
    assert [row["Chain"] for row in await account.rows(recent=True)] == ["changed"]
    assert await account.rows() == []
