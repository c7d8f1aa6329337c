"""Real workers ask a simulated Qualys account for many scans at once: `python tools/qualys_load.py SCENE`.

Every part is real but the account: worker processes on one SQLite file, a registry that images are resolved in, HTTPS.
Time is compressed by the simulator's speed; limits, latencies and intervals here are in simulated seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console
from rich.table import Table
from scanguard_qualys.simulator import Limit, QualysSimulator, Scenario
from scanguard_qualys.simulator.scenario import Fault, FaultKind
from soaking.evidence import is_idle
from soaking.herd import peak_rss_kib

from scanguard.backends import embedded
from scanguard.engine.documents import Assessment, AssessmentState, assessment_id
from scanguard.engine.store import Store
from scanguard.model.deployment import Event
from scanguard.model.rate import Rate
from scanguard.model.verdict import Outcome, ScannerStatus, Verdict
from scanguard.ports import Backend, Message, MessageKind, Outgoing, RecordQuery
from scanguard.testing.registry import FakeRegistry
from scanguard.testing.tars import build_tar

GROUP: Final = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-load"
END_LIMIT_S: Final = 30.0


@dataclass(frozen=True)
class Scene:
    """What is asked for, in simulated seconds."""

    title: str
    scans: int = 1_000
    latency_s: float = 180.0
    speed: float = 6.0
    limits: tuple[str, ...] = ("1000/m",)
    mode: str = "platform"
    poll_batch: int = 1
    deadline_s: float = 45 * 60.0
    for_s: float = 2 * 3600.0
    """When it is over at the latest."""
    workers: int = 1
    kills: int = 0
    fault_rate: float = 0.0


SCENES: Final = {
    "platform": Scene(
        "platform API at its limits",
        scans=1_100,
        latency_s=180.0,
        limits=("5000/m",),
        poll_batch=20,
        speed=1.0,
        for_s=1800.0,
    ),
    "hourly": Scene("300 an hour", limits=("300/h", "30/m"), speed=6.0, for_s=1.25 * 3600.0),
    "faults": Scene(
        "20 % faults, two workers killed with -9",
        fault_rate=0.2,
        workers=2,
        kills=2,
        limits=("5000/m",),
        poll_batch=20,
        speed=4.0,
    ),
}


@dataclass
class Figures:
    """What came of it."""

    scene: Scene
    asked: int = 0
    finished: int = 0
    unknown_waiting: int = 0
    dead_letters: int = 0
    lost: int = 0
    false_clean: int = 0
    most_pending: int = 0
    most_submissions: int = 0
    requests: int = 0
    refused: int = 0
    worst: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """For each limit: the fullest window, and what is allowed."""
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    took_s: float = 0.0
    kills: int = 0

    @property
    def is_kept(self) -> bool:
        """Whether every promise was: nothing lost, nothing clean that was not looked at, limits and single flight."""
        within = all(most <= allowed for most, allowed in self.worst.values())
        return not self.lost and not self.false_clean and self.most_submissions <= 1 and within

    def rows(self) -> list[tuple[str, str]]:
        """For a table."""
        scans = max(self.finished, 1)
        return [
            ("asked for", f"{self.asked:,}"),
            ("finished", f"{self.finished:,}"),
            ("unknown, and still waiting", f"{self.unknown_waiting:,}"),
            ("given up, visibly: dead letters", f"{self.dead_letters:,}"),
            ("lost", f"{self.lost}"),
            ("clean without a report", f"{self.false_clean}"),
            ("pending at once, at most", f"{self.most_pending:,}"),
            ("submissions of one digest, at most", f"{self.most_submissions}"),
            ("requests", f"{self.requests:,}, of which refused for a limit {self.refused:,}"),
            *(
                (f"fullest window of {limit}", f"{most:,} of {allowed:,}")
                for limit, (most, allowed) in self.worst.items()
            ),
            ("CPU of the workers", f"{self.cpu_s:.1f} s, {self.cpu_s / scans * 1e3:.1f} ms a finished scan"),
            ("largest worker", f"{self.peak_mib:.0f} MiB"),
            ("took", f"{self.took_s:.0f} s ({self.took_s * self.scene.speed / 60:.0f} simulated minutes)"),
            ("workers killed with -9", f"{self.kills}"),
        ]


async def play(scene: Scene, folder: Path) -> Figures:
    """Run a scene in an empty folder."""
    scenario = Scenario(
        latency_s=scene.latency_s,
        speed=scene.speed,
        limits=tuple(Limit(rate=Rate.parse(limit)) for limit in scene.limits),
        faults=_faults(scene),
    )
    figures = Figures(scene)
    async with FakeRegistry() as registry, QualysSimulator(scenario) as simulator, embedded(folder / "data") as backend:
        images = [_image(registry, number) for number in range(scene.scans)]
        _write(folder, scene, simulator, registry, images)
        names = await _announce(backend, scene)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        await _work(folder, scene, simulator, backend, figures)
        figures.took_s = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        figures.cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        await _judge(backend, names, figures)
        _note(simulator, scene, figures)
    return figures


def _faults(scene: Scene) -> tuple[Fault, ...]:
    if not scene.fault_rate:
        return ()
    kinds = (FaultKind.STATUS, FaultKind.RESET, FaultKind.HTML, FaultKind.TRUNCATED)
    each = scene.fault_rate / len(kinds)
    return tuple(Fault(kind=kind, path="/csapi/*", probability=each / (1 - each * n)) for n, kind in enumerate(kinds))


def _image(registry: FakeRegistry, number: int) -> str:
    name = f"load/image-{number}"
    registry.push_image(name, tag="1", layers=[build_tar({"etc/number": str(number).encode()})])
    return f"{registry.host}/{name}:1"


def _write(folder: Path, scene: Scene, simulator: QualysSimulator, registry: FakeRegistry, images: list[str]) -> None:
    deployments = [
        {"resource_id": _resource(number), "containers": [{"name": "c", "image": image}]}
        for number, image in enumerate(images)
    ]
    (folder / "deployments.json").write_text(json.dumps(deployments), encoding="utf-8")
    qualys: dict[str, Any] = {
        "plugin": "qualys",
        "mode": scene.mode,
        "url": simulator.url,
        "username": "env:Q_USER",
        "password": "env:Q_PASSWORD",
        "poll_interval_s": max(1.0, 10 / scene.speed),
        "poll_batch": scene.poll_batch,
        **({"registry_id": "1"} if scene.mode == "platform" else {}),
        "request_timeout_s": 10,
        "timeout_s": 1800,
        "quota": [_compressed(limit, scene.speed) for limit in scene.limits],
    }
    chain = {
        "scanners": ["qualys"],
        "deadline": f"{scene.deadline_s / scene.speed:.1f}s",
        "policies": [{"plugin": "threshold", "fail": {"severity": "CRITICAL"}, "unknown": "ignore"}],
    }
    configuration = {
        "version": 1,
        "instances": {"qualys": qualys, "deployments": {"plugin": "static", "file": "deployments.json"}},
        "chains": {"default": chain},
        "registries": {"insecure": [registry.host], "ca_file": str(simulator.ca_file)},
        "engine": {"backoff_s": 1.0, "max_backoff_s": 5.0, "lease_s": 5.0, "concurrency": 32, "attempts": 8},
    }
    (folder / "scanguard.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")


def _compressed(limit: str, speed: float) -> str:
    rate = Rate.parse(limit)
    window = max(1, int(rate.window_s / speed))
    return f"{max(1, int(rate.requests * window * speed / rate.window_s))}/{window}s"


def _resource(number: int) -> str:
    return f"{GROUP}/providers/Microsoft.ContainerInstance/containerGroups/d-{number:05}"


async def _announce(backend: Backend, scene: Scene) -> list[str]:
    messages = []
    for number in range(scene.scans):
        now = backend.clock.now()
        event = Event(id=f"e-{number}", source="load", type="write", resource_id=_resource(number), time=now)
        body = {"event": event.model_dump(mode="json"), "force": False}
        messages.append(Outgoing(Message(kind=MessageKind.INTAKE, id=assessment_id(event), body=body)))
    await backend.queue.send(messages)
    return [message.message.id for message in messages]


async def _work(folder: Path, scene: Scene, simulator: QualysSimulator, backend: Backend, figures: Figures) -> None:
    workers = [await _worker(folder, number) for number in range(scene.workers)]
    chance = random.Random(0)  # which worker dies, not a secret
    end = time.monotonic() + scene.for_s / scene.speed
    kill_at = [time.monotonic() + scene.latency_s / scene.speed * share for share in (0.3, 0.9, 1.2, 1.5)][
        : scene.kills
    ]
    try:
        while time.monotonic() < end and not await is_idle(backend):
            figures.most_pending = max(figures.most_pending, simulator.simulation.pending)
            figures.peak_mib = max(figures.peak_mib, *(peak_rss_kib(worker.pid) / 1024 for worker in workers))
            if kill_at and time.monotonic() >= kill_at[0]:
                kill_at.pop(0)
                victim = workers.pop(chance.randrange(len(workers)))
                victim.kill()
                await victim.wait()
                figures.kills += 1
                workers.append(await _worker(folder, 100 + figures.kills))
            await asyncio.sleep(0.25)
    finally:
        for worker in workers:
            if worker.returncode is None:
                worker.terminate()
        for worker in workers:
            try:
                await asyncio.wait_for(worker.wait(), END_LIMIT_S)
            except TimeoutError:
                worker.kill()
                await worker.wait()


async def _worker(folder: Path, number: int) -> asyncio.subprocess.Process:
    program = str(Path(sys.executable).with_name("scanguard"))
    env = {**os.environ, "Q_USER": "sim-user", "Q_PASSWORD": "sim-password"}
    command = [program, "--data-dir", str(folder / "data"), "--config", str(folder / "scanguard.yaml"), "worker"]
    with (folder / f"worker-{number}.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(*command, env=env, stdout=log, stderr=log)


async def _judge(backend: Backend, names: list[str], figures: Figures) -> None:
    """Look at every deployment: is it judged, or still in hand, and does its verdict rest on a report."""
    store = Store(backend.state)
    verdicts = {one.id: one for one in await backend.records.query(RecordQuery(limit=1_000_000))}
    figures.asked = len(names)
    for name in names:
        stored, verdict = await store.get(Assessment, name), verdicts.get(name)
        if verdict is not None and _is_whole(verdict):
            figures.finished += 1
        elif stored is not None and stored.document.state is not AssessmentState.DEAD:
            gave_up = verdict is not None and any(
                one.status is ScannerStatus.FAILED for image in verdict.images for one in image.scanners
            )
            figures.dead_letters += gave_up
            figures.unknown_waiting += not gave_up and (verdict is None or verdict.outcome is Outcome.UNKNOWN)
        else:
            figures.lost += 1
        if verdict is not None and verdict.outcome is Outcome.PASS and not _is_whole(verdict):
            figures.false_clean += 1


def _is_whole(verdict: Verdict) -> bool:
    return all(one.status is ScannerStatus.DONE for image in verdict.images for one in image.scanners)


def _note(simulator: QualysSimulator, scene: Scene, figures: Figures) -> None:
    recorded = simulator.recorded
    figures.requests = len(recorded.requests)
    figures.refused = recorded.refused["throttled"]
    figures.most_submissions = max(Counter(recorded.submissions).values(), default=0)
    rates = [Rate.parse(limit) for limit in scene.limits]
    figures.worst = {str(rate): (recorded.worst_window(rate.window_s), rate.requests) for rate in rates}


def table(figures: Figures) -> Table:
    """As a table."""
    shown = Table(title=f"{figures.asked:,} scans of {figures.scene.latency_s:.0f} s: {figures.scene.title}", box=None)
    shown.title_justify = "left"
    shown.add_column("")
    shown.add_column("")
    for row in figures.rows():
        shown.add_row(*row)
    return shown


def main() -> int:
    """Play scenes and print what came of them; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", nargs="*", choices=[*SCENES, []], help="all of them, unless named")
    parser.add_argument("--scans", type=int, help="how many, instead of 1,000")
    parser.add_argument("--mode", choices=["platform", "ondemand"], default="platform")
    parser.add_argument("--poll-batch", type=int, default=1)
    given = parser.parse_args()
    console, kept = Console(width=110), True
    for name in given.scenes or SCENES:
        scene = replace(SCENES[name], mode=given.mode, poll_batch=given.poll_batch)
        scene = replace(scene, scans=given.scans) if given.scans else scene
        with tempfile.TemporaryDirectory() as folder:
            figures = asyncio.run(play(scene, Path(folder)))
        console.print(table(figures), "")
        kept &= figures.is_kept
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
