"""From an event of Azure to a stored verdict and a signed notification, by the packaged app in Azure's own runtime."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from arm_world import container_app, container_group, job, revision
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient
from azure_scene import FINDINGS, SECRET, AzureScene, azure_scene, written
from azurite import Azurite, azurite
from function_host import FunctionHost, function_host
from function_package import Packaged, packaged
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from registries import Registry
from standardwebhooks import Webhook

from scanguard.render.stored import StoredResult

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]
LIMIT_S = 90


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as where:
        yield where


@pytest.fixture(scope="module")
def package() -> Packaged:
    return packaged()


@pytest.fixture
async def scene(tmp_path: Path, storage: Azurite, docker_registry: Registry) -> AsyncIterator[AzureScene]:
    async with azure_scene(tmp_path, storage, docker_registry) as made:
        yield made


@pytest.fixture
async def host(package: Packaged, scene: AzureScene) -> AsyncIterator[FunctionHost]:
    async with function_host(package, scene.settings(), scene.folder) as running:
        assert running.worker.indexed["error"] == "", running.worker.log()
        yield running


def notices(scene: AzureScene) -> dict[str, dict[str, Any]]:
    """What the receiver was told, by resource; every signature is checked."""
    found = {}
    for request in scene.hook.requests:
        event = Webhook(SECRET).verify(request.body, dict(request.headers))
        found[event["data"]["deployment"]["resource_id"]] = event["data"]
    return found


async def served(host: FunctionHost, scene: AzureScene, number: int) -> dict[str, dict[str, Any]]:
    """Serve triggers until so many deployments were told of."""

    async def is_done() -> bool:
        return len(notices(scene)) >= number and len(await rows(scene)) >= number

    await host.run(LIMIT_S, until=is_done, every_s=5)
    told = notices(scene)
    assert len(told) == number, f"{host.calls}\n{host.worker.log()[-6000:]}"
    return told


async def rows(scene: AzureScene) -> list[dict[str, Any]]:
    """The rows of the results' table."""
    async with TableServiceClient.from_connection_string(scene.storage.connection_string) as service:
        if f"R{scene.name}" not in [table.name async for table in service.list_tables()]:
            return []
        return [dict(row) async for row in service.get_table_client(f"R{scene.name}").list_entities()]


async def documents(scene: AzureScene) -> list[StoredResult]:
    """The blobs that the rows name."""
    async with BlobServiceClient.from_connection_string(scene.storage.connection_string) as service:
        container = service.get_container_client(f"r{scene.name}")
        names = {str(row["BlobPath"]) for row in await rows(scene)}
        texts = [await (await container.download_blob(name)).readall() for name in sorted(names)]
    return [StoredResult.model_validate_json(text) for text in texts]


async def command(scene: AzureScene, *arguments: str) -> str:
    """What ``scanguard`` says of the same backend; it asks nobody but Storage."""
    program = Path(sys.executable).with_name("scanguard")
    child = await asyncio.create_subprocess_exec(
        program, *arguments, env=scene.command_environment(), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await child.communicate()
    assert child.returncode == 0, err.decode()
    return out.decode()


def by_trace(scene: AzureScene) -> dict[bytes, list[Span]]:
    found: dict[bytes, list[Span]] = {}
    for span in scene.spans():
        found.setdefault(span.trace_id, []).append(span)
    return found


async def test_every_kind_of_workload_is_judged_stored_told_and_explained(
    host: FunctionHost, scene: AzureScene
) -> None:
    images = {name: scene.push(name) for name in ("web", "init", "old", "new", "batch")}
    group = scene.world.put(container_group("front", images["web"][0], init=[images["init"][0]]))
    app = scene.world.put(container_app("api", images["new"][0]))
    scene.world.revisions[app.lower()] = [
        revision("api--1", images["old"][0]), revision("api--2", images["new"][0]),
        revision("api--0", "registry.invalid/gone:1", active=False),
    ]  # fmt: skip
    nightly = scene.world.put(job("nightly", images["batch"][0]))

    for id_ in (group, app, nightly, group):  # the last one twice, as Event Grid may
        assert await host.event(written(id_))
    told = await served(host, scene, 3)

    runs = {group: ("web", "init"), app: ("old", "new"), nightly: ("batch",)}
    assert {id_: {one["digest"] for one in notice["images"]} for id_, notice in told.items()} == {
        id_: {images[name][1] for name in names} for id_, names in runs.items()
    }
    assert {notice["outcome"] for notice in told.values()} == {"fail"}, told
    assert scene.qualys.recorded.submissions == {name.partition("/")[2]: 1 for name, _ in images.values()}
    stored = await rows(scene)
    assert {(row["ResourceId"], row["Digest"], row["Verdict"]) for row in stored} == {
        (id_, images[name][1], "fail") for id_, names in runs.items() for name in names
    }
    counted = {
        image.image.digest: sum(image.counts.values())
        for one in await documents(scene) for image in one.verdict.images if image.image
    }  # fmt: skip
    assert {row["Digest"]: row["VulnTotal"] for row in stored} == counted
    assert min(counted.values()) >= FINDINGS
    assert {one.verdict.deployment.resource_id for one in await documents(scene)} == set(runs)
    assert "jane.doe" not in await _everything(scene)
    for id_, notice in told.items():
        (said,) = json.loads(await command(scene, "explain", "--format", "json", id_))["verdicts"]
        assert said["id"] == notice["verdict"]
    text = await command(scene, "explain", app)
    assert all(images[name][1][:19] in text or images[name][0] in text for name in ("old", "new")), text
    assert [call.function for call in host.calls if not call.ok] == []


async def _everything(scene: AzureScene) -> str:
    told = b"".join(one.body for one in (*scene.hook.requests, *scene.traces.requests)).decode(errors="replace")
    return told + json.dumps(await rows(scene), default=str) + str(await documents(scene))


async def test_an_event_and_all_that_follows_is_one_trace(host: FunctionHost, scene: AzureScene) -> None:
    id_ = scene.world.put(container_group("traced", scene.push("traced")[0]))
    assert await host.event(written(id_))
    await served(host, scene, 1)
    await asyncio.sleep(1)  # the last spans are on their way

    traces = by_trace(scene)
    (whole,) = [spans for spans in traces.values() if any(span.name == "send intake" for span in spans)]
    names = {span.name for span in whole}
    assert {"accept events", "send intake"} <= names
    consumed = {name for name in names if name.startswith("process ")}
    assert {name.split()[1] for name in consumed} >= {"intake", "scan", "deliver"}, names
    hosts = {value.value.int_value for span in whole for value in span.attributes if value.key == "server.port"}
    asked = {int(url.rpartition(":")[2]) for url in (scene.arm.url, scene.qualys.url, scene.hook.url)}
    assert asked <= hosts, "requests to Resource Manager, the scanner and the receiver are part of the trace"


async def test_a_deletion_closes_what_was_judged(host: FunctionHost, scene: AzureScene) -> None:
    id_ = scene.world.put(container_group("gone", scene.push("gone")[0]))
    assert await host.event(written(id_))
    await served(host, scene, 1)
    assert '"closed_at": null' in await command(scene, "explain", "--format", "json", id_)

    scene.world.delete(id_)
    assert await host.event(written(id_, deleted=True))

    async def is_closed() -> bool:
        return '"closed_at": null' not in await command(scene, "explain", "--format", "json", id_)

    await host.run(LIMIT_S, until=is_closed, every_s=5)
    assert await is_closed()
    assert [call.function for call in host.calls if not call.ok] == []
