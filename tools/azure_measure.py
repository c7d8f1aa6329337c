"""Measures what a scan costs a function app: executions by kind, their time, memory, storage operations.

    python tools/azure_measure.py --out tools/azure_costs.measured.json

The packaged app runs in Azure's own runtime on Azurite, with a simulated Resource Manager and a simulated Qualys
account whose three-minute scans are compressed. What depends on time keeps its proportion: a poll interval of one
second at sixty times the speed asks as often as one of a minute does. `tools/azure_costs.py` makes prices of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from workspace import ROOT

sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "plugins" / "azure" / "tests" / "support")]

from arm_world import container_group  # noqa: E402  # below what makes the tests' parts importable
from azure_scene import SCAN_S, AzureScene, azure_scene, written  # noqa: E402  # as above
from azure_soaking.network import CountingProxy  # noqa: E402  # as above
from azurite import Azurite, azurite  # noqa: E402  # as above
from function_host import FunctionHost, WorkerProcess  # noqa: E402  # as above
from function_package import packaged  # noqa: E402  # as above
from registries import open_registry  # noqa: E402  # as above
from scanguard_qualys.simulator import Scenario  # noqa: E402  # as above
from soaking.herd import peak_rss_kib  # noqa: E402  # as above

OVERHEAD_S: Final = 7.5
"""What the waiting function does besides waiting: 5 to 10 seconds, as the design compared with says."""
TICKS: Final = 10
LIMIT_S: Final = 300.0


@dataclass
class WatchedHost(FunctionHost):
    """Notes which kind of work each execution was."""

    seen: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    async def invoke(self, function: str, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> bool:
        """Run it, and note how long it took."""
        before = len(self.calls)
        ok = await FunctionHost.invoke(self, function, data, metadata)
        done = next(call for call in self.calls[before:] if call.function == function)
        self.seen[_kind(function, data)].append(done.ms)
        return ok


def _kind(function: str, data: Mapping[str, Any]) -> str:
    if function == "EventProcessor":
        return "event"
    if function == "Sweeps":
        return "timer"
    return str(json.loads(data["value"])["kind"])


@asynccontextmanager
async def _counted(storage: Azurite) -> AsyncIterator[tuple[Azurite, Mapping[str, CountingProxy]]]:
    async with AsyncExitStack() as stack:
        ports = {"blob": storage.blob_port, "queue": storage.queue_port, "table": storage.table_port}
        proxies = {name: await stack.enter_async_context(CountingProxy(port)) for name, port in ports.items()}
        yield Azurite(proxies["blob"].port, proxies["queue"].port, proxies["table"].port), proxies


async def measure(folder: Path, *, scans: int, every_s: float, speed: float, poll_batch: int) -> dict[str, Any]:
    """Scans of images that nobody knows yet, one after another; what each took on average."""
    package = await asyncio.to_thread(packaged)
    scenario = Scenario(latency_s=SCAN_S, speed=speed, findings=40)
    async with AsyncExitStack() as stack:
        real = stack.enter_context(azurite(folder))
        registry = stack.enter_context(open_registry(folder))
        storage, proxies = await stack.enter_async_context(_counted(real))
        scene = await stack.enter_async_context(azure_scene(folder, storage, registry, scenario))
        settings = {**scene.settings(poll_batch=poll_batch), "OTEL_SDK_DISABLED": "true"}
        worker = WorkerProcess(package, settings, folder / "worker.log")
        await worker.start()
        stack.push_async_callback(worker.stop)
        host = WatchedHost(worker, storage.connection_string, max_dequeue_count=10, visibility_s=5)
        stack.push_async_callback(host.close)
        await _warm(host, scene)
        idle = await _idle(host, proxies)
        host.seen.clear()
        before = _operations(proxies)
        await _scan(host, scene, scans, every_s)
        used = _operations(proxies) - before
        return {
            "measured": _origin(scans, speed, poll_batch),
            "scan_s": SCAN_S,
            "blocking_overhead_s": OVERHEAD_S,
            "memory_mb": round(peak_rss_kib(worker.pid) / 1024),
            "concurrency": 1,
            "handlers": {
                kind: {"per_scan": round(len(ms) / scans, 2), "mean_ms": round(sum(ms) / len(ms), 1)}
                for kind, ms in sorted(host.seen.items())
            },
            "storage_per_scan": {kind: round(count / scans, 1) for kind, count in sorted(used.items())},
            "idle": {
                **idle,
                "queues": len(host.triggers("queueTrigger")),
                "poll_interval_s": _poll_interval(package.folder),
            },
        }


async def _warm(host: WatchedHost, scene: AzureScene) -> None:
    """The first scan makes tables and loads libraries."""
    await _scan(host, scene, 1, 0.0, "warm")


async def _scan(host: WatchedHost, scene: AzureScene, number: int, every_s: float, name: str = "app") -> None:
    """Deploy and serve until everybody was told; no timer fires meanwhile."""
    wanted = len(scene.hook.requests) + number

    async def deploy() -> None:
        for one in range(number):
            image, _ = await asyncio.to_thread(scene.push, f"{name}-{one}")
            if not await host.event(written(scene.world.put(container_group(f"{name}-{one}", image)))):
                raise RuntimeError(host.worker.log()[-2000:])
            await asyncio.sleep(every_s)

    async def is_done() -> bool:
        return len(scene.hook.requests) >= wanted

    deploying = asyncio.create_task(deploy())
    await host.run(LIMIT_S + number * every_s, until=is_done, every_s=1e9)
    await deploying
    if len(scene.hook.requests) < wanted:
        raise RuntimeError(f"not every deployment was told of:\n{host.worker.log()[-4000:]}")


async def _idle(host: WatchedHost, proxies: Mapping[str, CountingProxy]) -> dict[str, Any]:
    """What a minute costs in which nothing happens: the timer, and what it starts."""
    host.seen.clear()
    before = _operations(proxies)
    for _ in range(TICKS):
        await host.tick()
        while await host.pump("FreshLane", "BulkLane"):
            pass
    executions = [ms for every in host.seen.values() for ms in every]
    used = _operations(proxies) - before
    return {
        "timer_per_hour": round(60 * len(executions) / TICKS),
        "timer_ms": round(sum(executions) / len(executions), 1),
        "storage_per_timer": {kind: round(count / len(executions), 1) for kind, count in sorted(used.items())},
    }


def _operations(proxies: Mapping[str, CountingProxy]) -> Counter[str]:
    """By what is paid for. This host asks empty queues far more often than Azure's does: a message is taken once."""
    queue, blob = proxies["queue"].requests, proxies["blob"].requests
    reads = blob["GET"] + blob["HEAD"]
    return Counter(
        queue=queue["POST"] + queue["PUT"] + 2 * queue["DELETE"],
        table=sum(proxies["table"].requests.values()),
        blob_write=sum(blob.values()) - reads,
        blob_read=reads,
    )


def _poll_interval(folder: Path) -> float:
    text = json.loads((folder / "host.json").read_text(encoding="utf-8"))["extensions"]["queues"]["maxPollingInterval"]
    hours, minutes, seconds = (float(part) for part in text.split(":"))
    return hours * 3600 + minutes * 60 + seconds


def _origin(scans: int, speed: float, poll_batch: int) -> str:
    return (
        f"tools/azure_measure.py, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, a shared machine "
        f"of two cores: {scans} scans, asked after every {speed:g} s, {poll_batch} at a time; one sink, one notifier"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=60)
    parser.add_argument("--every-s", type=float, default=1.0, help="between two deployments")
    parser.add_argument("--speed", type=float, default=60.0, help="how much faster the account's time goes")
    parser.add_argument("--poll-batch", type=int, default=1)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(
            measure(
                Path(folder), scans=asked.scans, every_s=asked.every_s, speed=asked.speed, poll_batch=asked.poll_batch
            )
        )
    text = json.dumps(found, indent=2) + "\n"
    print(text)
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
