"""The function app of a soak: the packaged app in Azure's runtime, its triggers served, its worker killed at will."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from azure.core.exceptions import AzureError
from function_host import FunctionHost, WorkerDiedError, WorkerProcess
from function_package import Packaged

from azure_soaking.world import AzureWorld

TICK_EVERY_S: Final = 5.0
MAX_DEQUEUE: Final = 10


@dataclass
class FunctionCrew:
    """One app, of which one worker process lives at any time."""

    world: AzureWorld
    package: Packaged
    host: FunctionHost
    kills: int = 0
    calls: int = 0
    failures: int = 0
    acknowledged: int = 0
    _number: int = 1
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def serve(self) -> None:
        """Queue triggers and the timer, until cancelled; storage may be away."""
        loop = asyncio.get_running_loop()
        tick_at = loop.time() + TICK_EVERY_S
        while True:
            handled = 0
            with contextlib.suppress(AzureError, WorkerDiedError):
                if loop.time() >= tick_at:
                    tick_at = loop.time() + TICK_EVERY_S
                    await self.host.tick()
                handled = await self.host.pump()
            self._count()
            if not handled:
                await asyncio.sleep(0.2)

    async def kill(self) -> None:
        """Kill the worker with -9 in the middle of whatever it does, and start another."""
        async with self._changing:
            self.host.worker.kill()
            self.kills += 1
            await self.host.worker.stop()
            self._number += 1
            await self._start()

    async def deliver(self, events: Sequence[Any], chance: random.Random) -> None:
        """As Event Grid does: each event until it is acknowledged."""
        for event in events:
            while not await self.host.event(event):  # noqa: ASYNC110  # nothing tells when it would work
                await asyncio.sleep(chance.uniform(0.1, 1.0))
            self.acknowledged += 1

    async def _start(self) -> None:
        log = self.world.folder / f"function-{self._number}.log"
        worker = WorkerProcess(self.package, self.world.settings(), log)
        await worker.start()
        self.host.worker = worker

    def _count(self) -> None:
        self.calls += len(self.host.calls)
        self.failures += sum(not call.ok for call in self.host.calls)
        self.host.calls.clear()


@contextlib.asynccontextmanager
async def function_crew(world: AzureWorld, package: Packaged) -> AsyncIterator[FunctionCrew]:
    """A crew with a worker that runs."""
    worker = WorkerProcess(package, world.settings(), world.folder / "function-1.log")
    await worker.start()
    if worker.indexed["error"] or "EventProcessor" not in worker.indexed["functions"]:
        raise RuntimeError(
            f"the function app does not start: {json.dumps(worker.indexed)[:500]} {worker.log()[-2000:]}"
        )
    host = FunctionHost(worker, world.around.storage.connection, MAX_DEQUEUE, visibility_s=1)
    crew = FunctionCrew(world, package, host)
    try:
        yield crew
    finally:
        await host.worker.stop()
        await host.close()
