"""What is due is found, whatever dies between two writes: exactly the rows whose time has come, oldest first."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from azurite import Azurite
from scanguard_azure.storage_blobs import StorageBlobs
from scanguard_azure.storage_bodies import StorageBodies
from scanguard_azure.storage_clients import StorageClients, storage_clients
from scanguard_azure.storage_due import EARLY, GRACE, SHARDS, SLACK, DueIndex
from scanguard_azure.storage_state import StorageState
from scanguard_azure.storage_tables import StorageTable
from storage_rig import Account, Died, DyingTable, SharedClock, azurite_by, context_with

from scanguard.errors import ConflictError
from scanguard.ports import Row
from scanguard.testing.contracts.bench import NOW

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
ROWS = 12
STEPS = 120


class Bench:
    """A state store that can die, and one that does not, on the same data."""

    def __init__(self, clients: StorageClients, clock: SharedClock) -> None:
        self.clients = clients
        self.clock = clock
        self.countdown: list[int | None] = [None]
        self.due = StorageTable(clients, "Due")

    def store(self, *, dying: bool = False) -> StorageState:
        """A new process: it has nothing in memory."""
        tables = [(DyingTable if dying else StorageTable)(self.clients, name) for name in ("State", "Due")]
        for table in tables:
            if isinstance(table, DyingTable):
                table.countdown = self.countdown
        return StorageState(
            tables[0], DueIndex(tables[1], self.clock), StorageBodies(StorageBlobs(self.clients, "state"))
        )

    async def entries(self) -> list[str]:
        """Keys of all entries."""
        shards = [f"due{n}" for n in range(SHARDS)]
        return [
            str(one["RowKey"]) for at in shards async for one in self.due.rows("PartitionKey eq @at", {"at": at}, 1000)
        ]


@pytest.fixture(scope="module")
def time_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clock") / "now"
    SharedClock(file)
    return file


@pytest.fixture(scope="module")
def emulator(time_file: Path) -> Iterator[Azurite]:
    with azurite_by(time_file, time_file.parent) as where:
        yield where


@pytest.fixture
async def bench(emulator: Azurite, time_file: Path) -> AsyncIterator[Bench]:
    clock = SharedClock(time_file)
    account = Account.new(emulator.connection_string)
    async with storage_clients(account.config, context_with(account.connection_string, clock)) as clients:
        yield Bench(clients, clock)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_no_death_hides_a_row_and_no_row_comes_before_its_time(bench: Bench, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # a test's dice
    for _ in range(STEPS):
        store = bench.store(dying=True)
        bench.countdown[0] = chance.choice([None, None, 0, 1, 2])
        key = f"k{chance.randrange(ROWS)}"
        due = chance.choice([None, *(NOW + timedelta(seconds=chance.uniform(0, 600)) for _ in range(3))])
        try:
            found = await store.get("t", "p", key)
            if found is None:
                await store.insert(Row("t", "p", key, {}, due))
            elif chance.random() < 0.1:
                await store.delete(found)
            else:
                await store.replace(found.with_({}, due))
        except Died:
            continue
    bench.countdown[0] = None
    store = bench.store()
    rows = [row for row in await store.page("t", "p") if row.due is not None]
    assert rows
    for seconds in (0, 100, 300, 600):
        before = NOW + timedelta(seconds=seconds)
        wanted = sorted(
            (row for row in rows if row.due is not None and row.due <= before), key=lambda row: row.due or NOW
        )
        assert await store.overdue(before) == wanted
        assert await store.overdue(before, limit=2) == wanted[:2]
        await check_tidied(bench, rows) if seconds == 600 else None


async def check_tidied(bench: Bench, rows: Sequence[Row]) -> None:
    """Once no write can be under way any more, what deaths left over is removed, and nothing else."""
    bench.clock.advance(GRACE.total_seconds() + 1)
    store = bench.store()
    late = NOW + timedelta(days=1)
    before = await store.overdue(late)
    await store.overdue(late)
    assert await store.overdue(late) == before
    assert {row.etag.split()[1] for row in rows} == set(await bench.entries())


async def test_an_entry_written_just_now_is_left_alone_though_its_row_is_not_there_yet(bench: Bench) -> None:
    bench.countdown[0] = 1
    row = Row("t", "p", "k", {}, NOW)
    with pytest.raises(Died):
        await bench.store(dying=True).insert(row)
    assert await bench.store().overdue(NOW) == []
    assert len(await bench.entries()) == 1, "a row may be about to follow"
    bench.clock.advance(GRACE.total_seconds() + 1)
    sweeper = bench.store()
    assert await sweeper.overdue(NOW) == []
    assert await sweeper.overdue(NOW) == []
    assert await bench.entries() == []


async def test_a_row_whose_time_moves_a_little_costs_no_entry_and_is_found_at_its_time(bench: Bench) -> None:
    store = bench.store()
    row = await store.insert(Row("t", "p", "k", {}, NOW + timedelta(seconds=100)))
    entries = await bench.entries()
    for moved in (100 - EARLY.total_seconds(), 100 + SLACK.total_seconds() - EARLY.total_seconds()):
        due = NOW + timedelta(seconds=moved)
        row = await store.replace(row.with_({}, due))
        assert await bench.entries() == entries
        assert await store.overdue(due - timedelta(microseconds=1)) == []
        assert await store.overdue(due) == [row]
    for moved in (1, 1000):
        row = await store.replace(row.with_({}, NOW + timedelta(seconds=moved)))
        await store.overdue(NOW)
        assert await bench.entries() != entries
        assert await store.overdue(NOW + timedelta(seconds=moved)) == [row]


async def test_rows_of_every_shard_come_oldest_first_page_after_page(bench: Bench) -> None:
    store = bench.store()
    chance = random.Random(4)  # noqa: S311  # a test's dice
    order = chance.sample(range(70), 70)
    for number in order:
        await store.insert(Row("t", f"p{number}", "", {"n": number}, NOW + timedelta(seconds=number * 40)))
    for limit in (1, 7, 33, 100):
        found = await store.overdue(NOW + timedelta(hours=2), limit=limit)
        assert [row.body["n"] for row in found] == list(range(70))[:limit]


async def test_a_row_that_is_swapped_by_two_is_due_when_the_winner_says(bench: Bench) -> None:
    store, other = bench.store(), bench.store()
    first = await store.insert(Row("t", "p", "k", {}, NOW + timedelta(seconds=100)))
    won = await other.replace(first.with_({}, NOW + timedelta(seconds=900)))
    with pytest.raises(ConflictError):
        await store.replace(first.with_({}, NOW))
    assert await store.overdue(NOW + timedelta(seconds=899)) == []
    assert await store.overdue(NOW + timedelta(seconds=900)) == [won]
