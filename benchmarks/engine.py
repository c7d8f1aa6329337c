"""The engine's own cost, with instant scanners on the embedded backend: ``python benchmarks/engine.py [DEPLOYMENTS]``.

CPU per deployment (user and system, all threads), as a multiple of one durable SQLite commit in the same run.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path

from scanguard.backends import embedded
from scanguard.backends.sqlite import Database
from scanguard.engine.documents import Assessment, assessment_id
from scanguard.engine.engine import Engine
from scanguard.engine.worker import Worker
from scanguard.model.deployment import Event
from scanguard.ports import ALL_LANES, Message, MessageKind, Outgoing
from scanguard.testing.rig import Rig, RigHost

DEPLOYMENTS = 500
IMAGES = 50
COMMITS = 500


async def commit_cpu_s(folder: Path) -> float:
    """CPU of one insert in a durable transaction, made as the backend makes them."""
    database = Database(folder / "commits.db")
    await database.write(lambda db: db.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)"))
    started = time.process_time()
    for _ in range(COMMITS):
        await database.write(lambda db: db.execute("INSERT INTO t (b) VALUES (?)", ("x" * 200,)))
    spent = time.process_time() - started
    await database.aclose()
    return spent / COMMITS


async def engine_cpu_s(folder: Path, deployments: int) -> tuple[float, float]:
    """CPU and wall seconds per deployment, from intake to the last delivery."""
    rig = Rig()
    rig.scanners["one"].findings = tuple(f"CVE-2024-{number}" for number in range(20))
    messages = []
    for number in range(deployments):
        rig.deploy(f"/deployments/{number}", f"image:{number % IMAGES}")
        event = Event(
            id=str(number),
            source="bench",
            type="write",
            resource_id=f"/deployments/{number}",
            time=rig.memory.clock.now(),
        )
        body = {"event": event.model_dump(mode="json"), "force": False}
        messages.append(Outgoing(Message(kind=MessageKind.INTAKE, id=assessment_id(event), body=body)))
    async with embedded(folder) as backend:
        engine = Engine(backend, RigHost(rig))
        worker = Worker(engine, sweep_s=60)

        async def is_finished() -> bool:
            return len(rig.notifier.deliveries) + len(rig.sink.deliveries) >= 2 * deployments

        cpu, wall = time.process_time(), time.perf_counter()
        for message in messages:
            await backend.queue.send([message])
        await worker.run(is_finished)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        done = await backend.state.get(Assessment.TABLE, messages[-1].message.id)
        assert done is not None
        assert await backend.queue.next_visible(ALL_LANES) is None
    return cpu / deployments, wall / deployments


async def main(deployments: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commit = await commit_cpu_s(folder)
        cpu, wall = await engine_cpu_s(folder, deployments)
    print(f"{'one durable commit, CPU':32} {commit * 1e3:8.3f} ms")
    print(f"{'one deployment, CPU':32} {cpu * 1e3:8.3f} ms  {cpu / commit:6.1f} commits")
    print(f"{'one deployment, wall':32} {wall * 1e3:8.3f} ms  {1 / wall:6.1f} per second")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else DEPLOYMENTS))
