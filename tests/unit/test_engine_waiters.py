"""A place to wait for a scan goes when nobody waits there any more."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from scanguard.engine.documents import Waiter
from scanguard.engine.engine import Engine
from scanguard.ports import Message, Outgoing, Row
from scanguard.testing.memory import MemoryState
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigHost


class SlowState(MemoryState):
    """The rig's own rows, written by a worker that stops for a while before it takes its place to wait."""

    def __init__(self, rig: Rig) -> None:
        self.__dict__.update(rig.memory.state.__dict__)
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()
        self.dies_then = False

    async def insert(self, row: Row) -> Row:
        if row.table == Waiter.TABLE:
            self.reached.set()
            await self.go_on.wait()
            if self.dies_then:
                await super().insert(row)
                self.reached.set()
                await asyncio.Event().wait()
        return await super().insert(row)


def waiters(rig: Rig) -> list[tuple[str, str, str]]:
    return [address for address in rig.memory.state.rows if address[0] == Waiter.TABLE]


async def test_nobody_waits_for_a_scan_that_has_ended() -> None:
    rig = Rig()
    rig.deploy("/a", "app:1")
    await rig.announce("/a")
    await rig.run()

    assert waiters(rig) == []


async def overtaken(rig: Rig) -> tuple[SlowState, asyncio.Task[list[Outgoing]], Message]:
    """A worker about to take its place to wait, with its message; another has judged the same deployment meanwhile."""
    rig.deploy("/a", "app:1")
    await rig.announce("/a", event_id="once")
    await rig.announce("/a", event_id="once")
    (first, _) = rig.memory.queue.items
    state = SlowState(rig)
    engine = Engine(replace(rig.memory.backend(), state=state), RigHost(rig), limits=rig.limits)
    slow = asyncio.create_task(engine.handle(first.message))
    await state.reached.wait()
    await rig.run()
    return state, slow, first.message


async def test_a_worker_that_another_overtook_leaves_no_place_to_wait_behind() -> None:
    rig = Rig()
    state, slow, _ = await overtaken(rig)
    state.go_on.set()
    await rig.memory.queue.send(await slow)
    await rig.run()

    assert waiters(rig) == []


async def test_a_worker_that_another_overtook_and_that_died_leaves_no_place_to_wait_behind() -> None:
    rig = Rig()
    state, slow, message = await overtaken(rig)
    state.dies_then = True
    state.reached.clear()
    state.go_on.set()
    await state.reached.wait()
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
    assert len(waiters(rig)) == 1

    await rig.memory.queue.send(await rig.engine.handle(message, again=True))
    await rig.run()

    assert waiters(rig) == []
