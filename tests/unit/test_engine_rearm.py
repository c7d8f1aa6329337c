"""Rows that are overdue are woken up again, and less and less often while their messages only wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from scanguard.ports import Outgoing
from scanguard.testing.rig import Rig


async def test_where_there_is_more_work_than_workers_the_queue_does_not_fill_with_wake_ups() -> None:
    rig = Rig()
    rig.deploy("/a", "app:1")
    await rig.announce("/a")
    await rig.work_once()  # it waits for its scan, whose message nobody takes up
    before = len(rig.memory.queue.items)
    for _ in range(8 * 60):
        rig.memory.clock.moment += timedelta(minutes=1)
        await rig.sweep()
    rows, hours = len(rig.open_rows()), 8
    assert before + rows <= len(rig.memory.queue.items) <= before + rows * (hours * 4 + 5)


async def test_a_message_that_is_lost_twice_is_sent_again_a_minute_later() -> None:
    rig = Rig()
    rig.deploy("/a", "app:1")
    name = await rig.announce("/a")
    await rig.work_once()
    for _ in range(2):
        rig.memory.queue.items.clear()
        rig.memory.clock.moment += timedelta(seconds=61)
        await rig.sweep()
        assert rig.memory.queue.items
    await rig.run()
    assert rig.verdict(name)


async def test_where_every_message_comes_twice_they_do_not_multiply() -> None:
    rig = Rig()
    send, sent = rig.memory.queue.send, 0

    async def twice(messages: Sequence[Outgoing]) -> None:
        nonlocal sent
        sent += len(messages)
        await send([*messages, *messages])

    rig.memory.queue.send = twice  # type: ignore[method-assign]  # a queue with that habit
    for number in range(20):
        rig.deploy(f"/{number}", f"app{number}:1")
        await rig.announce(f"/{number}")
    await rig.run()
    assert len(rig.memory.records.verdicts) == 20
    assert sent <= 20 * 10, "a deployment has six messages"
