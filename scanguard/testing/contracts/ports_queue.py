"""The contract of the queue."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from scanguard.errors import ConflictError
from scanguard.ports import Lane, Message, MessageKind, Outgoing
from scanguard.testing.contracts.bench import NOW, Bench


class QueueContract:
    """At-least-once messages with a time before which they are not seen."""

    @pytest.mark.asyncio
    async def test_a_message_is_hidden_while_held_and_comes_again_until_it_is_acknowledged(self, bench: Bench) -> None:
        queue = bench.ports.queue
        await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x"))])
        (first,) = await queue.receive([Lane.FRESH], limit=5, visibility_s=30)
        assert await queue.receive([Lane.FRESH], limit=5, visibility_s=30) == []
        bench.clock.advance(31)
        (second,) = await queue.receive([Lane.FRESH], limit=5, visibility_s=30)
        assert (first.delivered, second.delivered) == (1, 2)
        await queue.ack(first)  # lost to the second receiver: nothing happens
        with pytest.raises(ConflictError):
            await queue.extend(first, 30)
        await queue.extend(second, 60)
        bench.clock.advance(45)
        assert await queue.receive([Lane.FRESH], limit=5, visibility_s=30) == []
        await queue.ack(second)
        bench.clock.advance(60)
        assert await queue.receive([Lane.FRESH], limit=5, visibility_s=30) == []
        assert await queue.next_visible([Lane.FRESH]) is None

    @pytest.mark.asyncio
    async def test_a_message_is_not_seen_before_its_time_and_lanes_are_taken_in_order(self, bench: Bench) -> None:
        queue = bench.ports.queue
        later = NOW + timedelta(hours=1)
        await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="later"), later)])
        await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="bulk", lane=Lane.BULK))])
        await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="fresh"))])
        assert await queue.next_visible([Lane.FRESH]) == NOW
        taken = await queue.receive([Lane.FRESH, Lane.BULK], limit=10, visibility_s=30)
        assert [d.message.id for d in taken if d.message] == ["fresh", "bulk"]
        bench.clock.advance(3600)
        assert "later" in [
            d.message.id for d in await queue.receive([Lane.FRESH], limit=9, visibility_s=1) if d.message
        ]

    @pytest.mark.asyncio
    async def test_only_the_messages_that_are_taken_are_hidden(self, bench: Bench) -> None:
        queue = bench.ports.queue
        await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id=str(n))) for n in range(3)])
        seen = [await queue.receive([Lane.FRESH], limit=1, visibility_s=30) for _ in range(4)]
        assert [len(taken) for taken in seen] == [1, 1, 1, 0]

    @pytest.mark.asyncio
    async def test_a_released_message_comes_again_untouched(self, bench: Bench) -> None:
        await bench.ports.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x", body={"a": 1}))])
        (held,) = await bench.ports.queue.receive([Lane.FRESH], limit=1, visibility_s=600)
        await bench.ports.queue.release(held, NOW + timedelta(seconds=5))
        assert await bench.ports.queue.receive([Lane.FRESH], limit=1, visibility_s=1) == []
        bench.clock.advance(5)
        (again,) = await bench.ports.queue.receive([Lane.FRESH], limit=1, visibility_s=1)
        assert again.message == held.message

    @pytest.mark.asyncio
    async def test_depths_tell_how_full_every_lane_is(self, bench: Bench) -> None:
        queue = bench.ports.queue
        await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id=str(n))) for n in range(3)])
        await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x", lane=Lane.BULK), NOW + timedelta(hours=1))])
        bench.clock.advance(60)
        await queue.receive([Lane.FRESH], limit=1, visibility_s=30)
        depths = await queue.depths()
        assert set(depths) == set(Lane)
        assert {lane: depth.messages for lane, depth in depths.items()} == {Lane.FRESH: 3, Lane.BULK: 1, Lane.HEAVY: 0}
        assert depths[Lane.FRESH].ready_since in (NOW, None), "an approximate queue may not know"
        assert depths[Lane.BULK].ready_since is None

    @pytest.mark.asyncio
    async def test_a_message_taken_by_one_of_many_is_seen_by_no_other(self, bench: Bench) -> None:
        queue = bench.ports.queue
        await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id=str(n))) for n in range(20)])
        taken = await asyncio.gather(*(queue.receive([Lane.FRESH], limit=4, visibility_s=30) for _ in range(8)))
        ids = [d.message.id for some in taken for d in some if d.message]
        assert sorted(ids, key=int) == [str(n) for n in range(20)]
