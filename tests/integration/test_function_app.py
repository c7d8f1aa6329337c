"""The packaged function app in Azure's own runtime: what the host finds, and an event's way to its verdict."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import package_function
import pytest
from azurite import Azurite, azurite
from function_host import FunctionHost, WorkerProcess, function_host
from function_package import Packaged, packaged
from function_scene import Scene, cloud_event, grid_event
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from scanguard_azure.storage_backend import open_storage
from scanguard_azure.storage_config import StorageConfig

from scanguard.engine.jobs import Job
from scanguard.ports import Backend
from scanguard.testing.contexts import make_context
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]
TIME_TO_VERDICT_S = 60


@pytest.fixture(scope="module")
def package() -> Packaged:
    return packaged()


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as where:
        yield where


@pytest.fixture
def scene(storage: Azurite, tmp_path: Path) -> Scene:
    made = Scene(tmp_path, storage)
    made.deploy("api", "shop")
    return made


@asynccontextmanager
async def open_store(scene: Scene) -> AsyncIterator[Backend]:
    """The app's backend, beside it."""
    options = {name: value for name, value in scene.configuration["backend"].items() if name != "plugin"}
    secrets = {"env:AzureWebJobsStorage": scene.storage.connection_string}
    context = make_context(scene.folder, instance="backend", secrets=secrets)
    async with open_storage(StorageConfig.model_validate(options), context) as backend:
        yield backend


async def judged(host: FunctionHost, scene: Scene, number: int = 1) -> None:
    async def is_done() -> bool:
        return len(scene.verdicts()) >= number

    await host.run(TIME_TO_VERDICT_S, until=is_done, every_s=5)
    assert len(scene.verdicts()) >= number, f"{host.calls}\n{host.worker.log()}"


async def test_the_host_finds_every_function_with_its_bindings(package: Packaged, scene: Scene) -> None:
    scene.with_server()
    async with function_host(package, scene.settings(), scene.folder) as host:
        assert host.worker.indexed["error"] == ""
        queues = {
            name: (one["queueName"].removeprefix(scene.prefix), one["connection"])
            for name, one in host.triggers("queueTrigger").items()
        }
        routes = {
            name: (one["route"], sorted(one["methods"]), one["authLevel"])
            for name, one in host.triggers("httpTrigger").items()
        }
        assert queues == {
            "FreshLane": ("fresh", "AzureWebJobsStorage"),
            "FreshPoison": ("fresh-poison", "AzureWebJobsStorage"),
            "BulkLane": ("bulk", "AzureWebJobsStorage"),
            "BulkPoison": ("bulk-poison", "AzureWebJobsStorage"),
        }
        assert routes == {
            "Health": ("health", ["GET"], "ANONYMOUS"),
            "Events": ("events", ["OPTIONS", "POST"], "ANONYMOUS"),
            "Reports": ("reports/{id}", ["GET"], "ANONYMOUS"),
            "Replay": ("replay", ["POST"], "FUNCTION"),
            "Approvals": ("approvals/{id}", ["GET", "POST"], "FUNCTION"),
        }
        (timer,) = host.triggers("timerTrigger").items()
        assert (timer[0], timer[1]["schedule"], timer[1]["runOnStartup"]) == ("Sweeps", "0 * * * * *", False)
        assert list(host.triggers("eventGridTrigger")) == ["EventProcessor"]
        outputs = [one for one in host.functions["EventProcessor"] if one["type"] == "queue"]
        assert [(one["queueName"], one["direction"]) for one in outputs] == [(f"{scene.prefix}fresh", "OUT")]


async def test_what_is_loaded_is_the_package(package: Packaged, scene: Scene) -> None:
    async with function_host(package, scene.settings(), scene.folder) as host:
        loaded = host.worker.indexed["loaded"]
        assert {"function_app", "scanguard", "scanguard_azure", "pydantic", "azure.functions"} <= loaded.keys()
        assert all(path.startswith(f"{package.folder}/") for path in loaded.values()), loaded


async def test_an_event_becomes_a_stored_verdict(package: Packaged, scene: Scene) -> None:
    async with function_host(package, scene.settings(), scene.folder) as host:
        assert await host.event(grid_event("api"))
        await judged(host, scene)
        assert [call.function for call in host.calls if not call.ok] == []
        (verdict,) = scene.verdicts()
        assert "api" in json.dumps(verdict)
        assert len(scene.calls("submit")) == 1
        assert len(scene.calls("poll")) >= 1


async def test_a_stamped_app_sends_telemetry_from_a_moment_after_its_first_event_on(
    package: Packaged, scene: Scene, tmp_path: Path
) -> None:
    folder = tmp_path / "app"
    shutil.copytree(package.folder, folder, copy_function=os.link)
    settings = scene.settings()
    (folder / "scanguard.yaml").write_text(settings.pop("SCANGUARD_CONFIG"))
    package_function.check(folder, ["azure", "qualys"], str(package.python), settings)
    async with LoopbackServer(taken) as collector:
        settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        async with function_host(Packaged(folder, package.python), settings, scene.folder) as host:
            assert await host.event(grid_event("api"))
            assert collector.requests == []
            await asyncio.sleep(3)
            assert await host.event(grid_event("shop"))
            await asyncio.sleep(2)
        traces = [ExportTraceServiceRequest.FromString(one.body) for one in collector.requests if "traces" in one.path]
    scopes = [scope for trace in traces for resource in trace.resource_spans for scope in resource.scope_spans]
    names = [span.name for scope in scopes for span in scope.spans]
    assert names.count("send intake") == 1, "that of the second event"


async def taken(request: ReceivedRequest) -> Answer:
    return Answer(200)


async def test_an_event_that_comes_twice_in_both_schemas_is_scanned_once(package: Packaged, scene: Scene) -> None:
    async with function_host(package, scene.settings(), scene.folder) as host:
        for event in (grid_event("api"), grid_event("api"), cloud_event("api")):
            assert await host.event(event)
        assert await host.depth(f"{scene.prefix}fresh") == 3
        await judged(host, scene, 2)
        assert len(scene.calls("submit")) == 1


async def test_a_worker_that_is_killed_in_the_middle_loses_nothing(package: Packaged, scene: Scene) -> None:
    async with function_host(package, scene.settings(), scene.folder) as host:
        assert await host.event(grid_event("api"))
        assert await host.event(grid_event("shop"))
        for _ in range(3):
            await host.pump("FreshLane")
        assert scene.calls("submit")
        first = host.worker
        first.kill()
        host.worker = WorkerProcess(package, scene.settings(), scene.folder / "second.log")
        await host.worker.start()
        try:
            await judged(host, scene, 2)
        finally:
            await host.worker.stop()
            host.worker = first


async def test_a_tick_wakes_what_was_forgotten_and_sends_nothing_else(package: Packaged, scene: Scene) -> None:
    async with function_host(package, scene.settings(), scene.folder) as host, open_store(scene) as backend:
        assert await host.event(grid_event("api"))
        while not scene.calls("submit"):
            await host.pump("FreshLane")
        assert await host.tick()
        assert await host.depth(f"{scene.prefix}fresh") == 1, "the scan's next message, and none of the timer's"
        await host.clear(f"{scene.prefix}fresh")
        await asyncio.sleep(2)  # by then the scan may be asked after
        now = datetime.now(UTC)
        for row in await backend.state.overdue(now + timedelta(hours=1)):
            if row.table != Job.TABLE:
                await backend.state.replace(row.with_(row.body, now))
        assert await host.tick()
        await judged(host, scene)
        assert {call.function for call in host.calls if call.ok} == {"EventProcessor", "FreshLane", "Sweeps"}
