"""One soak on Azure's parts, from an empty folder to what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from arm_simulator import ArmSimulator
from function_package import packaged
from managed_identity import ManagedIdentity
from registries import open_registry
from scanguard_azure.storage_backend import open_storage
from scanguard_azure.storage_config import StorageConfig
from soaking.evidence import gather, is_idle
from soaking.herd import Herd
from soaking.run import Soaked, resources

from azure_soaking.crew import FunctionCrew, function_crew
from azure_soaking.network import DoublingProxy, Weather
from azure_soaking.plan import AzurePlan
from azure_soaking.promises import check_azure, results_of
from azure_soaking.storage import Storage, storage
from azure_soaking.world import CONNECTION, Around, AzureWorld, make_azure_world
from scanguard.errors import BackendError
from scanguard.ports import Backend
from scanguard.testing import make_context

LOOK_EVERY_S: Final = 1.0
FEED_AGAIN_S: Final = 0.5


@dataclass(frozen=True)
class Hardships:
    """What went wrong on purpose, to be sure that it did."""

    cuts: int
    swallowed: int
    doubled: int
    restarts: int
    function_kills: int
    function_calls: int
    function_failures: int
    acknowledged: int
    arm: Mapping[int, int]


@dataclass
class _Scene:
    """All that runs."""

    plan: AzurePlan
    world: AzureWorld
    storage: Storage
    weather: Weather
    herd: Herd
    crew: FunctionCrew | None
    backend: Backend
    chance: random.Random


async def azure_soak(plan: AzurePlan, folder: Path) -> tuple[Soaked, Hardships]:
    """Run it. ``folder`` is made, or empty; everything stays there for whoever wants to know more."""
    await asyncio.to_thread(_empty, folder)
    async with _scene(plan, folder) as scene:
        started, began = datetime.now(UTC), time.monotonic()
        accepted: dict[str, str] = {}
        try:
            async with asyncio.timeout(plan.limit_s):
                await _work(scene, accepted)
        except TimeoutError:
            scene.herd.complaints.append(f"after {plan.limit_s:.0f} s there was still work: given up")
        finally:
            idle_s = time.monotonic() - began
            try:
                await scene.herd.end()
            finally:
                await scene.herd.bury()
        evidence = await gather(scene.world, scene.backend, accepted, scene.herd.complaints)
        promises = check_azure(evidence, await results_of(scene.storage.direct))
        hardships = _hardships(scene)
        herd = scene.herd
    decided = [verdict.decided_at for verdict in evidence.verdicts.values()]
    soaked = Soaked(
        plan=plan,
        evidence=evidence,
        promises=promises,
        kills=herd.kills,
        peak_rss_kib=herd.peak_rss_kib,
        redelivered=hardships.doubled,
        judged_s=(max(decided) - started).total_seconds() if decided else 0.0,
        idle_s=idle_s,
    )
    return soaked, hardships


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty: a soak begins with nothing")


@asynccontextmanager
async def _scene(plan: AzurePlan, folder: Path) -> AsyncIterator[_Scene]:
    async with AsyncExitStack() as stack:
        registry = stack.enter_context(open_registry(folder))
        arm = await stack.enter_async_context(ArmSimulator(seed=plan.seed))
        identity = await stack.enter_async_context(ManagedIdentity())
        store = await stack.enter_async_context(storage(folder, doubled=plan.doubled))
        around = Around(registry, arm, identity, store)
        world = await asyncio.to_thread(make_azure_world, plan, folder, around)
        backend = await stack.enter_async_context(_looking_on(store))
        weather = Weather(store.proxies, random.Random(plan.seed + 3), plan.disturb_every_s)
        crew = None
        if plan.functions:
            package = await asyncio.to_thread(packaged)
            crew = await stack.enter_async_context(function_crew(world, package))
        herd = Herd(world, random.Random(plan.seed + 2))
        yield _Scene(plan, world, store, weather, herd, crew, backend, random.Random(plan.seed + 4))


@asynccontextmanager
async def _looking_on(store: Storage) -> AsyncIterator[Backend]:
    """The same backend, past the network."""
    config = StorageConfig.model_validate({"connection_string": f"env:{CONNECTION}"})
    context = make_context(store.folder, instance="backend", secrets={f"env:{CONNECTION}": store.direct})
    async with open_storage(config, context) as backend:
        yield backend


async def _work(scene: _Scene, accepted: dict[str, str]) -> None:
    for _ in range(scene.plan.workers):
        await scene.herd.start()
    background = [scene.weather.blow(), *([scene.crew.serve()] if scene.crew else [])]
    async with _meanwhile(*background):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_feed(scene, accepted))
            tasks.create_task(_often(scene, scene.plan.kills, scene.plan.kill_every_s, _kill))
            tasks.create_task(_often(scene, scene.plan.restarts, scene.plan.restart_every_s, _restart))
        await _until_idle(scene)


@asynccontextmanager
async def _meanwhile(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Both at once; what fails in the background fails here."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
        yield
        for task in tasks:
            task.cancel()


async def _often(
    scene: _Scene, times: int, every_s: float, what: Callable[[_Scene], Coroutine[Any, Any, None]]
) -> None:
    for _ in range(times):
        await asyncio.sleep(every_s * scene.chance.uniform(0.5, 1.5))
        await what(scene)


async def _kill(scene: _Scene) -> None:
    """A worker, or that of the function app; not while the storage is away, for then none could begin."""
    async with scene.storage.changing:
        if scene.crew is not None and scene.chance.random() < 1 / (1 + scene.plan.workers):
            await scene.crew.kill()
        else:
            await scene.herd.kill_one()


async def _restart(scene: _Scene) -> None:
    await scene.storage.restart()


async def _feed(scene: _Scene, accepted: dict[str, str]) -> None:
    """Each batch in its time, every other one by the function app; at last the first again, which changes nothing."""
    batches = range(len(scene.plan.order()))
    for batch in (*batches, 0):
        if scene.crew is not None and batch % 2:
            events = json.loads(scene.world.events(batch).read_text())
            await scene.crew.deliver(events, scene.chance)
            accepted.update(resources(scene.world, batch))
        else:
            accepted.update(await _by_command(scene, batch))
        await asyncio.sleep(scene.plan.kill_every_s)


async def _by_command(scene: _Scene, batch: int) -> Mapping[str, str]:
    """``scanguard event`` until it says that the events are accepted; storage may be away."""
    command = scene.world.command("event", "--no-wait", "--format", "json", str(scene.world.events(batch)))
    while True:
        child = await asyncio.create_subprocess_exec(
            *command, env=scene.world.environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, _ = await child.communicate()
        if child.returncode == 0:
            ids = set(json.loads(out)["accepted"])
            return {id: resource for id, resource in resources(scene.world, batch).items() if id in ids}
        await asyncio.sleep(FEED_AGAIN_S)


async def _until_idle(scene: _Scene) -> None:
    """The network stays as bad as it is until the last message is gone."""
    while True:
        await scene.herd.look()
        with contextlib.suppress(BackendError):
            if await is_idle(scene.backend):
                return
        await asyncio.sleep(LOOK_EVERY_S)


def _hardships(scene: _Scene) -> Hardships:
    queues = scene.storage.proxies["queue"]
    crew = scene.crew
    return Hardships(
        cuts=scene.weather.cuts,
        swallowed=scene.weather.swallowed,
        doubled=queues.doubled if isinstance(queues, DoublingProxy) else 0,
        restarts=scene.storage.restarts,
        function_kills=crew.kills if crew else 0,
        function_calls=crew.calls if crew else 0,
        function_failures=crew.failures if crew else 0,
        acknowledged=crew.acknowledged if crew else 0,
        arm=dict(scene.world.around.arm.statuses),
    )
