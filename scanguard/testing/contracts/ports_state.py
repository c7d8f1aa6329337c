"""The contract of the state store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from scanguard.errors import ConflictError
from scanguard.ports import Row
from scanguard.testing.contracts.bench import NOW, Bench


def _row(key: str = "", *, partition: str = "p", due: datetime | None = None) -> Row:
    return Row("t", partition, key, {"n": 1, "text": "é\u0000"}, due)


class StateContract:
    """Rows with compare-and-swap."""

    @pytest.mark.asyncio
    async def test_a_row_is_read_as_it_was_written(self, bench: Bench) -> None:
        written = await bench.ports.state.insert(_row(due=NOW))
        assert await bench.ports.state.get("t", "p") == written
        assert await bench.ports.state.get("t", "other") is None

    @pytest.mark.asyncio
    async def test_a_row_is_created_once_and_replaced_only_at_the_version_read(self, bench: Bench) -> None:
        state = bench.ports.state
        first = await state.insert(_row())
        with pytest.raises(ConflictError):
            await state.insert(_row())
        second = await state.replace(first.with_({"n": 2}, None))
        with pytest.raises(ConflictError):
            await state.replace(first.with_({"n": 3}, None))
        await state.delete(first)
        assert await state.get("t", "p") == second
        await state.delete(second)
        with pytest.raises(ConflictError):
            await state.replace(second)

    @pytest.mark.asyncio
    async def test_keys_that_look_alike_never_meet(self, bench: Bench) -> None:
        for partition, key in (("a/b", "c"), ("a", "b/c"), ("A/B", "c"), ("a_b", "c"), ("", "a/bc")):
            await bench.ports.state.insert(replace(_row(key, partition=partition), body={"at": [partition, key]}))
        for partition, key in (("a/b", "c"), ("a", "b/c"), ("A/B", "c"), ("a_b", "c"), ("", "a/bc")):
            found = await bench.ports.state.get("t", partition, key)
            assert found is not None
            assert found.body == {"at": [partition, key]}

    @pytest.mark.asyncio
    async def test_a_partition_is_paged_in_key_order(self, bench: Bench) -> None:
        for key in ("c", "a", "b"):
            await bench.ports.state.insert(_row(key))
        first = await bench.ports.state.page("t", "p", limit=2)
        assert [r.key for r in first] == ["a", "b"]
        rest = await bench.ports.state.page("t", "p", after=first[-1].key, limit=2)
        assert [r.key for r in (*first, *rest)] == ["a", "b", "c"]

    @pytest.mark.asyncio
    async def test_overdue_rows_come_oldest_first_and_terminal_ones_never(self, bench: Bench) -> None:
        for key, due in (("late", NOW), ("later", NOW - timedelta(days=1)), ("soon", NOW + timedelta(seconds=1))):
            await bench.ports.state.insert(_row(key, due=due))
        await bench.ports.state.insert(_row("terminal"))
        assert [r.key for r in await bench.ports.state.overdue(NOW)] == ["later", "late"]

    @pytest.mark.asyncio
    async def test_a_row_without_an_etag_is_removed_whatever_its_version(self, bench: Bench) -> None:
        written = await bench.ports.state.insert(_row())
        await bench.ports.state.replace(written.with_({"n": 2}, None))
        await bench.ports.state.delete(_row())
        assert await bench.ports.state.get("t", "p") is None
        await bench.ports.state.delete(_row())

    @pytest.mark.asyncio
    async def test_of_many_who_swap_at_once_exactly_one_wins(self, bench: Bench) -> None:
        first = await bench.ports.state.insert(_row())
        swaps = (bench.ports.state.replace(first.with_({"n": n}, None)) for n in range(8))
        done = await asyncio.gather(*swaps, return_exceptions=True)
        assert sum(isinstance(one, ConflictError) for one in done) == 7
        (winner,) = [one for one in done if isinstance(one, Row)]
        assert await bench.ports.state.get("t", "p") == winner
