"""Two who judge one deployment at the same time do not overtake each other in turn."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from scanguard.engine.engine import Engine
from scanguard.engine.messages import assess_message
from scanguard.model.verdict import Outcome, Verdict
from scanguard.ports import Lane
from scanguard.testing.memory import MemoryRecords
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigHost


class SlowRecords(MemoryRecords):
    """The rig's own records, written by a worker that stops for a while before it stores its verdict."""

    def __init__(self, rig: Rig) -> None:
        self.__dict__.update(rig.memory.records.__dict__)
        self.reached = asyncio.Event()
        self.go_on = asyncio.Event()

    async def save(self, verdict: Verdict) -> None:
        self.reached.set()
        await self.go_on.wait()
        await super().save(verdict)


async def slow_and_quick() -> tuple[Rig, SlowRecords, asyncio.Task[list[object]], str]:
    """A worker in the middle of judging, and the rig to judge beside it."""
    rig = Rig()
    rig.deploy("/a", "app:1")
    name = await rig.announce("/a")
    await rig.work_once()  # the intake
    await rig.work_once()  # the scan
    records = SlowRecords(rig)
    engine = Engine(replace(rig.memory.backend(), records=records), RigHost(rig), limits=rig.limits)
    (item,) = rig.memory.queue.items
    slow = asyncio.create_task(engine.handle(item.message))
    await records.reached.wait()
    return rig, records, slow, name  # type: ignore[return-value]  # messages


async def test_the_second_leaves_the_first_alone_and_the_verdict_is_made_once() -> None:
    rig, records, slow, name = await slow_and_quick()
    (again,) = await rig.engine.handle(assess_message(name, Lane.FRESH))
    assert again.not_before is not None
    assert again.not_before > rig.memory.clock.now()
    records.go_on.set()
    await slow
    await rig.run()
    assert (rig.verdict(name).outcome, rig.verdict(name).revision) == (Outcome.PASS, 1)
    assert len(rig.sink.deliveries) == 1


async def test_a_judge_who_never_comes_back_is_overtaken() -> None:
    rig, _, slow, name = await slow_and_quick()
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
    await rig.run()
    assert (rig.verdict(name).outcome, rig.verdict(name).revision) == (Outcome.PASS, 2)
