"""The workers: started, killed with -9, replaced, and ended by the id of each."""

from __future__ import annotations

import asyncio
import random
import signal
from asyncio.subprocess import Process
from dataclasses import dataclass, field
from pathlib import Path

from soaking.world import World

END_LIMIT_S = 30.0


@dataclass
class Herd:
    """Worker processes of one world; each writes what it logs to a file of its own."""

    world: World
    chance: random.Random
    alive: list[Process] = field(default_factory=list)
    started: int = 0
    kills: int = 0
    peak_rss_kib: int = 0
    complaints: list[str] = field(default_factory=list)
    """Workers that ended by themselves, or badly."""

    async def start(self) -> None:
        """Add a worker."""
        self.started += 1
        with (self.world.folder / f"worker-{self.started}.log").open("wb") as log:
            worker = await asyncio.create_subprocess_exec(
                *self.world.command("worker"), env=self.world.environment(), stdout=log, stderr=log
            )
        self.alive.append(worker)

    async def kill_one(self) -> None:
        """Kill any of them, and start another in its place."""
        await self.look()
        victim = self.alive.pop(self.chance.randrange(len(self.alive)))
        victim.kill()
        await victim.wait()
        self.kills += 1
        await self.start()

    async def look(self) -> None:
        """Note how much memory each uses; replace those that ended by themselves, which none should."""
        for worker in [*self.alive]:
            self.peak_rss_kib = max(self.peak_rss_kib, peak_rss_kib(worker.pid))
            if worker.returncode is not None:
                self.alive.remove(worker)
                self.complaints.append(f"worker {worker.pid} ended by itself with {worker.returncode}")
                await self.start()

    async def end(self) -> None:
        """Ask all of them to stop, and see that they do."""
        await self.look()
        for worker in self.alive:
            if worker.returncode is None:
                worker.send_signal(signal.SIGTERM)
        for worker in self.alive:
            try:
                code = await asyncio.wait_for(worker.wait(), END_LIMIT_S)
            except TimeoutError:
                self.complaints.append(f"worker {worker.pid} went on for {END_LIMIT_S:.0f} s after SIGTERM")
                continue
            if code != 0:
                self.complaints.append(f"worker {worker.pid} ended with {code} after SIGTERM")

    async def bury(self) -> None:
        """Leave no process behind, whatever happened."""
        for worker in self.alive:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
        self.alive.clear()


def peak_rss_kib(pid: int) -> int:
    """The most memory a process ever held, where the system tells; else 0."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
