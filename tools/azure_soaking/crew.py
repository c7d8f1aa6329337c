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
BUSY: Final = "FreshLane"


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
    _is_there: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self) -> None:
        """Queue triggers and the timer, until cancelled; storage may be away."""
        loop = asyncio.get_running_loop()
        tick_at = loop.time() + TICK_EVERY_S
        while True:
            handled = 0
            await self._is_there.wait()  # nothing is handed to a worker that is dead
            with contextlib.suppress(AzureError, WorkerDiedError):
                if loop.time() >= tick_at:  # as Azure's host, which looks into queues that are empty less often
                    tick_at = loop.time() + TICK_EVERY_S
                    await self.host.tick()
                    handled = await self.host.pump()
                handled += await self.host.pump(BUSY)
            self._count()
            if not handled:
                await asyncio.sleep(0.2)

    async def kill(self) -> None:
        """Kill the worker with -9 in the middle of whatever it does, and start another."""
        self._is_there.clear()
        self.host.worker.kill()
        self.kills += 1
        await self.host.worker.stop()
        self._number += 1
        await self.start()

    async def deliver(self, events: Sequence[Any], chance: random.Random) -> None:
        """As Event Grid does: each event until it is acknowledged."""
        for event in events:
            await self._is_there.wait()
            while not await self.host.event(event):  # noqa: ASYNC110  # nothing tells when it would work
                await asyncio.sleep(chance.uniform(0.1, 1.0))
            self.acknowledged += 1

    async def start(self) -> None:
        """Start a worker process, from which on it is the app's."""
        log = self.world.folder / f"function-{self._number}.log"
        worker = WorkerProcess(self.package, self.world.settings(), log)
        await worker.start()
        self.host.worker = worker
        self._is_there.set()

    def _count(self) -> None:
        self.calls += len(self.host.calls)
        self.failures += sum(not call.ok for call in self.host.calls)
        self.host.calls.clear()


@contextlib.asynccontextmanager
async def function_crew(world: AzureWorld, package: Packaged) -> AsyncIterator[FunctionCrew]:
    """A crew with a worker that runs."""
    worker = WorkerProcess(package, world.settings(), world.folder / "function-0.log")
    host = FunctionHost(worker, world.around.storage.connection, MAX_DEQUEUE, visibility_s=1)
    crew = FunctionCrew(world, package, host)
    await crew.start()
    found = host.worker.indexed
    if found["error"] or "EventProcessor" not in found["functions"]:
        raise RuntimeError(f"the function app does not start: {json.dumps(found)[:500]} {host.worker.log()[-2000:]}")
    try:
        yield crew
    finally:
        await host.worker.stop()
        await host.close()
