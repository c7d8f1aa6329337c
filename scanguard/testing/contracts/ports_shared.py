"""The contract of a backend that several processes use: what one did, the others see."""

from __future__ import annotations

import pytest

from scanguard.errors import ConflictError
from scanguard.ports import Lane, Message, MessageKind, Outgoing, RecordQuery, Row
from scanguard.testing.contracts.bench import Bench, Reopen
from scanguard.testing.contracts.ports_records import sample_judgement

_MISSING = "no second handle: override the fixture `reopen` so that durability across processes is tested"


class SharedContract:
    """Two handles on the same data."""

    @pytest.mark.asyncio
    async def test_what_one_handle_wrote_another_reads(self, bench: Bench) -> None:
        reopen, ports = _reopen(bench), bench.ports
        written = await ports.state.insert(Row("t", "p", "k", {"n": 1}, bench.clock.now()))
        await ports.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x", body={"a": 1}))])
        await ports.reports.put("scans/a.json", b"whole")
        await ports.records.save(sample_judgement("a", "/r", "app:1"))
        async with reopen() as other:
            assert await other.state.get("t", "p", "k") == written
            assert await other.state.overdue(bench.clock.now()) == [written]
            (taken,) = await other.queue.receive([Lane.FRESH], limit=9, visibility_s=30)
            assert taken.message == Message(kind=MessageKind.SCAN, id="x", body={"a": 1})
            assert await other.reports.get("scans/a.json") == b"whole"
            assert [one.id for one in await other.records.query(RecordQuery())] == ["a"]

    @pytest.mark.asyncio
    async def test_a_version_replaced_through_one_handle_is_old_for_the_other(self, bench: Bench) -> None:
        reopen, state = _reopen(bench), bench.ports.state
        first = await state.insert(Row("t", "p", "k", {"n": 1}))
        async with reopen() as other:
            second = await other.state.replace(first.with_({"n": 2}, None))
            with pytest.raises(ConflictError):
                await state.replace(first.with_({"n": 3}, None))
            assert await state.get("t", "p", "k") == second

    @pytest.mark.asyncio
    async def test_a_message_held_through_one_handle_is_hidden_from_the_other(self, bench: Bench) -> None:
        reopen, queue = _reopen(bench), bench.ports.queue
        await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x"))])
        (held,) = await queue.receive([Lane.FRESH], limit=1, visibility_s=30)
        async with reopen() as other:
            assert await other.queue.receive([Lane.FRESH], limit=1, visibility_s=30) == []
            bench.clock.advance(31)
            (again,) = await other.queue.receive([Lane.FRESH], limit=1, visibility_s=30)
            with pytest.raises(ConflictError):
                await queue.extend(held, 30)
            await other.queue.ack(again)
        assert await queue.next_visible([Lane.FRESH]) is None


def _reopen(bench: Bench) -> Reopen:
    if bench.reopen is None:
        pytest.skip(_MISSING)
    return bench.reopen
