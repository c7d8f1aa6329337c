"""The worker gives back what it cannot read, survives a store that fails, and stops when told."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from scanguard.backends import embedded
from scanguard.engine.documents import Assessment, AssessmentState
from scanguard.engine.engine import Engine
from scanguard.engine.limits import EngineLimits
from scanguard.engine.worker import Worker
from scanguard.errors import BackendError
from scanguard.ports import ALL_LANES, Backend, Delivery, Message, MessageKind, Outgoing
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigHost

FAST = EngineLimits(backoff_s=0.05, max_backoff_s=0.1, rearm_s=0.2)


async def run_until_judged(worker: Worker, backend: Backend, name: str, *, within_s: float = 10.0) -> None:
    async def is_finished() -> bool:
        row = await backend.state.get(Assessment.TABLE, name)
        return row is not None and row.body["state"] == AssessmentState.DONE

    await asyncio.wait_for(worker.run(is_finished), within_s)


async def announced(rig: Rig, backend: Backend) -> str:
    """An intake message, as the rig makes it, on another backend."""
    rig.deploy("/a", "app:1")
    name = await rig.announce("/a")
    (item,) = rig.memory.queue.items
    await backend.queue.send([Outgoing(item.message)])
    return name


async def test_a_message_of_a_newer_version_is_given_back_and_the_rest_goes_on(tmp_path: Path) -> None:
    rig = Rig()
    async with embedded(tmp_path) as backend:
        newer = Message(schema_version=99, kind=MessageKind.SCAN, id="x")
        await backend.queue.send([Outgoing(newer)])
        name = await announced(rig, backend)
        await run_until_judged(Worker(Engine(backend, RigHost(rig), limits=FAST), poll_s=0.02), backend, name)
        await asyncio.sleep(0.15)
        left = await backend.queue.receive(ALL_LANES, limit=5, visibility_s=1)
        assert newer in [held.message for held in left]


async def test_a_row_of_a_newer_version_is_left_untouched(tmp_path: Path) -> None:
    rig = Rig()
    async with embedded(tmp_path) as backend:
        name = await announced(rig, backend)
        engine = Engine(backend, RigHost(rig), limits=FAST)
        (held,) = await backend.queue.receive(ALL_LANES, limit=1, visibility_s=60)
        assert held.message is not None
        await engine.handle(held.message)
        row = await backend.state.get(Assessment.TABLE, name)
        assert row is not None
        newer = {**row.body, "schema_version": 2, "something": "new"}
        await backend.state.replace(row.with_(newer, row.due))
        with pytest.raises(BackendError, match="a newer worker must handle it"):
            await engine.handle(Message(kind=MessageKind.ASSESS, id=name))
        kept = await backend.state.get(Assessment.TABLE, name)
        assert kept is not None
        assert kept.body == newer


class FailingReports:
    """Fails the first calls, as a full disk or a network share does."""

    def __init__(self, inner: object, failures: int) -> None:
        self._inner = inner
        self.failures = failures

    async def put(self, name: str, data: bytes) -> None:
        if self.failures:
            self.failures -= 1
            raise BackendError("no room on the disk")
        await self._inner.put(name, data)  # type: ignore[attr-defined]  # a ReportStore

    async def get(self, name: str) -> bytes | None:
        found: bytes | None = await self._inner.get(name)  # type: ignore[attr-defined]  # a ReportStore
        return found


async def test_work_goes_on_when_the_store_works_again(tmp_path: Path) -> None:
    rig = Rig()
    async with embedded(tmp_path) as backend:
        reports = FailingReports(backend.reports, failures=2)
        broken = Backend(backend.state, backend.queue, reports, backend.records)
        name = await announced(rig, broken)
        limits = EngineLimits(backoff_s=0.05, max_backoff_s=0.1, rearm_s=0.2, lease_s=0.3)
        worker = Worker(Engine(broken, RigHost(rig), limits=limits), poll_s=0.02, sweep_s=0.1)
        await run_until_judged(worker, broken, name)
        assert reports.failures == 0


async def test_a_cancelled_worker_stops_and_what_was_under_way_comes_again(tmp_path: Path) -> None:
    rig = Rig()
    rig.scanners["one"].hang = asyncio.Event()
    limits = EngineLimits(backoff_s=0.05, max_backoff_s=0.1, rearm_s=0.2, lease_s=0.3)
    async with embedded(tmp_path) as backend:
        name = await announced(rig, backend)

        async def never() -> bool:
            return False

        task = asyncio.create_task(Worker(Engine(backend, RigHost(rig), limits=limits), poll_s=0.02).run(never))
        await asyncio.wait_for(rig.scanners["one"].started.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        rig.scanners["one"].hang.set()
        worker = Worker(Engine(backend, RigHost(rig), limits=limits), poll_s=0.02, sweep_s=0.1)
        await run_until_judged(worker, backend, name)
        assert len(rig.sink.deliveries) <= 1


class CountedQueue:
    """Counts requests for messages."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.asked: list[int] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    async def receive(self, lanes: object, *, limit: int, visibility_s: float) -> list[Delivery]:
        taken: list[Delivery] = await self._inner.receive(lanes, limit=limit, visibility_s=visibility_s)  # type: ignore[attr-defined]  # a Queue
        self.asked.append(len(taken))
        return taken


async def announced_many(count: int) -> tuple[Rig, CountedQueue, Backend]:
    rig = Rig()
    rig.scanners["one"].wait_s = 0
    queue = CountedQueue(rig.memory.queue)
    for number in range(count):
        rig.deploy(f"/{number}", f"app{number}:1")
        await rig.announce(f"/{number}")
    backend = rig.memory.backend()
    return rig, queue, Backend(backend.state, queue, backend.reports, backend.records, backend.clock)  # type: ignore[arg-type]  # a Queue


async def test_a_queue_that_has_more_is_asked_for_several_messages_at_once() -> None:
    rig, queue, backend = await announced_many(50)
    worker = Worker(Engine(backend, RigHost(rig), limits=FAST), poll_s=30, sweep_s=30)

    async def is_finished() -> bool:
        return len(rig.memory.records.verdicts) == 50

    await asyncio.wait_for(worker.run(is_finished), 20)
    full = [taken for taken in queue.asked if taken]
    assert sum(full) / len(full) >= 3


class AwayQueue(CountedQueue):
    """Does not answer the first requests."""

    def __init__(self, inner: object, failures: int) -> None:
        super().__init__(inner)
        self.failures = failures

    async def receive(self, lanes: object, *, limit: int, visibility_s: float) -> list[Delivery]:
        if self.failures > len(self.asked):
            self.asked.append(0)
            raise BackendError("the queue does not answer")
        return await super().receive(lanes, limit=limit, visibility_s=visibility_s)


async def test_a_queue_that_does_not_answer_is_asked_less_and_less_often_and_works_again_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig, _, backend = await announced_many(3)
    queue = AwayQueue(rig.memory.queue, failures=6)
    backend = replace(backend, queue=queue)  # type: ignore[arg-type]  # a Queue
    worker = Worker(Engine(backend, RigHost(rig), limits=FAST), poll_s=0.02, sweep_s=30)
    looks = 0

    async def is_finished() -> bool:
        nonlocal looks
        looks += 1
        return len(rig.memory.records.verdicts) == 3

    began = time.monotonic()
    await asyncio.wait_for(worker.run(is_finished), 20)
    assert time.monotonic() - began >= 0.02 * (1 + 2 + 4 + 8 + 16 + 32)
    assert looks > 30, "it looked whether to stop all the while"
    assert caplog.text.count("queue not available") == 6


class Slow(Engine):
    """Keeps the first five events in hand until it may go on."""

    def __init__(self, backend: Backend, rig: Rig) -> None:
        super().__init__(backend, RigHost(rig), limits=FAST)
        self.go_on = asyncio.Event()
        self.kept = 0

    async def handle(self, message: Message, *, again: bool = False) -> list[Outgoing]:
        if message.kind is MessageKind.INTAKE and self.kept < 5:
            self.kept += 1
            await self.go_on.wait()
        return await super().handle(message, again=again)


async def test_what_takes_long_does_not_keep_the_rest_from_being_taken_up() -> None:
    rig, _, backend = await announced_many(30)
    engine = Slow(backend, rig)
    worker = Worker(engine, concurrency=8, poll_s=0.05, sweep_s=30)

    async def is_finished() -> bool:
        if len(rig.memory.records.verdicts) >= 25:  # in three of eight places, fewer than are worth a request
            engine.go_on.set()
        return len(rig.memory.records.verdicts) == 30

    await asyncio.wait_for(worker.run(is_finished), 20)


async def test_a_worker_that_is_cancelled_in_the_moment_that_wakes_it_stops() -> None:
    """``asyncio.wait_for`` of Python 3.11 loses a cancellation when what it waited for is done in the same moment."""
    rig = Rig()
    worker = Worker(Engine(rig.memory.backend(), RigHost(rig), limits=FAST), poll_s=30, sweep_s=30)

    async def never() -> bool:
        return False

    running = asyncio.ensure_future(worker.run(never))
    await asyncio.sleep(0.05)
    await worker.sweep()
    running.cancel()

    done, _ = await asyncio.wait({running}, timeout=2)
    running.cancel()
    assert done, "it works on"
