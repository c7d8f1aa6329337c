"""What the engine itself costs, with instant scanners on the embedded backend.

CPU is user and system time of all threads. A deployment is followed from its intake to its last delivery: a sink
write and a notice; ten deployments share an image with twenty findings.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from scanguard.backends import DATABASE_NAME, embedded
from scanguard.backends.sqlite import Database
from scanguard.engine.documents import assessment_id
from scanguard.engine.engine import Engine
from scanguard.engine.worker import Worker
from scanguard.model.deployment import Event
from scanguard.ports import Message, MessageKind, Outgoing
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigHost

PER_IMAGE = 10
FINDINGS = tuple(f"CVE-2024-{number}" for number in range(20))
COMMITS = 2_000


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


def rig_with(deployments: int, *, first: int = 0) -> Rig:
    rig = Rig()
    rig.scanners["one"].findings = FINDINGS
    for number in range(first, first + deployments):
        rig.deploy(f"/deployments/{number}", f"image:{number // PER_IMAGE}")
    return rig


def intake(rig: Rig, first: int, last: int) -> Iterator[Outgoing]:
    for number in range(first, last):
        event = Event(
            id=str(number),
            source="bench",
            type="write",
            resource_id=f"/deployments/{number}",
            time=rig.memory.clock.now(),
        )
        body = {"event": event.model_dump(mode="json"), "force": False}
        yield Outgoing(Message(kind=MessageKind.INTAKE, id=assessment_id(event), body=body))


async def work(folder: Path, rig: Rig, deployments: int, *, first: int = 0) -> tuple[float, float]:
    """CPU and wall seconds until everything is judged and delivered; events come one request at a time."""
    async with embedded(folder) as backend:
        worker = Worker(Engine(backend, RigHost(rig)), sweep_s=60)
        wanted = len(rig.notifier.deliveries) + len(rig.sink.deliveries) + 2 * deployments

        async def is_finished() -> bool:
            return len(rig.notifier.deliveries) + len(rig.sink.deliveries) >= wanted

        cpu, wall = time.process_time(), time.perf_counter()
        for message in intake(rig, first, first + deployments):
            await backend.queue.send([message])
        await worker.run(is_finished)
        return time.process_time() - cpu, time.perf_counter() - wall


def rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


async def grow(folder: Path, deployments: int, chunk: int) -> list[tuple[int, float, float]]:
    """Deployments so far, CPU seconds for the last chunk (less noisy than the clock), memory after it in MiB."""
    told = []
    for done in range(0, deployments, chunk):
        cpu, _ = await work(folder, rig_with(chunk, first=done), chunk, first=done)
        gc.collect()  # what stays is the engine's and not the bench's
        told.append((done + chunk, cpu, rss_mib()))
    return told


def drive(folder: Path, deployments: int) -> None:
    """A worker process of its own, until every deployment has a verdict."""

    async def run() -> None:
        async with embedded(folder) as backend:
            await Worker(Engine(backend, RigHost(rig_with(deployments))), sweep_s=60).run(is_finished)

    asked, done = 0.0, False

    async def is_finished() -> bool:
        nonlocal asked, done
        if time.perf_counter() - asked > 0.2:
            done = done_in(folder) >= deployments
            asked = time.perf_counter()
        return done

    asyncio.run(run())


BEGUN = "SELECT COUNT(*) FROM state WHERE tbl = 'assessment'"
DELIVERED = "SELECT COUNT(*) / 2 FROM state WHERE tbl = 'outbox' AND due IS NULL"


def done_in(folder: Path, question: str = DELIVERED) -> int:
    """How many deployments are through, read beside the workers."""
    with contextlib.closing(sqlite3.connect(folder / DATABASE_NAME, timeout=30)) as reader:
        (number,) = reader.execute(question).fetchone()
    return int(number)


async def _accept(folder: Path, deployments: int) -> None:
    rig = rig_with(deployments)
    async with embedded(folder) as backend:
        await backend.queue.send(list(intake(rig, 0, deployments)))


def rate_of_workers(folder: Path, deployments: int, workers: int) -> float:
    """Deployments per second with worker processes on one file."""
    asyncio.run(_accept(folder, deployments))
    command = [sys.executable, __file__, "--drive", str(folder), str(deployments)]
    children = [subprocess.Popen(command, env={**os.environ, "PYTHONPATH": ""}) for _ in range(workers)]  # noqa: S603  # this file
    while not done_in(folder, BEGUN):
        time.sleep(0.02)
    started = time.perf_counter()
    while done_in(folder) < deployments:
        time.sleep(0.1)
    wall = time.perf_counter() - started
    for child in children:
        child.wait()
    return deployments / wall


async def pending(folder: Path, scans: int, wait_s: float) -> tuple[int, float]:
    """Most scans that one worker held at once, and seconds until all were judged beyond what each took."""
    rig = Rig()
    rig.scanners["one"].wait_s = wait_s
    for number in range(scans):
        rig.deploy(f"/deployments/{number}", f"image:{number}")
    most = 0
    async with embedded(folder) as backend:
        # The rig's clock stands still; tickets need one that goes on.
        rig.memory.clock.now = backend.clock.now  # type: ignore[method-assign]  # real time
        worker = Worker(Engine(backend, RigHost(rig)), sweep_s=60)

        async def is_finished() -> bool:
            nonlocal most
            calls = [what for what, _ in rig.scanners["one"].calls]
            most = max(most, calls.count("submit") - calls.count("poll"))
            return len(rig.sink.deliveries) >= scans

        await backend.queue.send(list(intake(rig, 0, scans)))
        started = time.perf_counter()
        await worker.run(is_finished)
        wall = time.perf_counter() - started
    return most, wall - wait_s


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    if sys.argv[1:2] == ["--drive"]:
        drive(Path(sys.argv[2]), int(sys.argv[3]))
