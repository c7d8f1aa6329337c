"""From Azure to a stored verdict, with everything of scanguard in between and a registry at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from arm_faults import Fault
from arm_rig import Rig, azure_rig
from arm_world import SUBSCRIPTION, container_app, container_group, job

from scanguard.app import App, AppOptions
from scanguard.engine.jobs import Job, JobStep
from scanguard.model.verdict import Outcome, Verdict
from scanguard.ports import RecordQuery
from scanguard.testing.registry import OCI_MANIFEST, FakeRegistry

T = TypeVar("T")
WRITTEN = "Microsoft.Resources.ResourceWriteSuccess"


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with azure_rig(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as made:
        yield made


def pushed(registry: FakeRegistry, name: str) -> str:
    """Push an image; its reference."""
    registry.push_image(name, tag="1")
    return f"{registry.host}/{name}:1"


def options(rig: Rig, registry: FakeRegistry, **azure: Any) -> AppOptions:
    """A configuration with the scripted scanner, whose findings fail every image."""
    given = {"plugin": "azure", "subscriptions": [SUBSCRIPTION], "management_url": rig.arm.url, **azure}
    document = {
        "version": 1,
        "engine": {"backoff_s": 0.05, "max_backoff_s": 0.1, "attempts": 3},
        "registries": {"insecure": [registry.host], "ca_file": str(rig.arm.ca_file)},
        "instances": {"azure": given, "rehearsal": {"plugin": "scripted"}},
        "chains": {"default": {"scanners": ["rehearsal"], "policies": [{"plugin": "threshold"}]}},
    }
    config = rig.folder / "scanguard.yaml"
    config.write_text(json.dumps(document), encoding="utf-8")
    environ = {"SCANGUARD_PLUGINS": "scanguard_azure.plugin"}
    return AppOptions(config=(config,), data_dir=rig.folder / "data", environ=environ)


def written(*ids: str) -> bytes:
    """Events of writes, as Event Grid sends them."""
    return json.dumps(
        [
            {
                "id": f"e{number}",
                "topic": f"/subscriptions/{SUBSCRIPTION}",
                "subject": id_,
                "eventType": WRITTEN,
                "eventTime": "2026-03-01T18:38:04.6117357Z",
                "data": {"operationName": f"{'/'.join(id_.split('/')[6:8])}/write", "resourceUri": id_},
            }
            for number, id_ in enumerate(ids)
        ]
    ).encode()


@asynccontextmanager
async def working(given: AppOptions) -> AsyncIterator[App]:
    """An application with a worker, which is stopped at the end."""
    async with App.load(given) as app:
        worker = asyncio.ensure_future(app.work())
        try:
            yield app
        finally:
            worker.cancel()
            await asyncio.wait({worker})


async def until(look: Callable[[], Awaitable[T | None]], *, within_s: float = 40.0) -> T:
    """Wait for what is looked for."""
    async with asyncio.timeout(within_s):
        while (found := await look()) is None:  # noqa: ASYNC110  # a store tells nobody of what is written
            await asyncio.sleep(0.1)
        return found


async def inventoried(app: App, run: int = 1) -> Job:
    """The inventory, when so many of its runs have ended, well or not."""

    async def look() -> Job | None:
        jobs = [state.job for state in await app.sweeps.all()]
        return next((job for job in jobs if job.run >= run and job.step is JobStep.REST), None)

    return await until(look)


async def verdicts(app: App, wanted: int) -> Sequence[Verdict]:
    """The newest of each deployment, when there are so many."""

    async def look() -> Sequence[Verdict] | None:
        found = await app.backend.records.query(RecordQuery(latest_only=True))
        return found if len(found) >= wanted else None

    return await until(look)


async def closed(app: App, id_: str) -> Verdict:
    """A deployment's verdict, when it is closed."""

    async def look() -> Verdict | None:
        found = await app.backend.records.query(RecordQuery(resource=id_, latest_only=True))
        return next((verdict for verdict in found if verdict.closed_at), None)

    return await until(look)


async def test_an_event_ends_in_a_verdict_on_every_image_that_runs(rig: Rig, registry: FakeRegistry) -> None:
    app_image, init_image = pushed(registry, "shop/api"), pushed(registry, "shop/init")
    id_ = rig.world.put(container_group("api", app_image, init=[init_image]))
    async with App.load(options(rig, registry, inventory_every=None)) as app:
        accepted = await app.accept(written(id_.upper()))
        await asyncio.wait_for(app.work(until=accepted.ids), 20)
        verdict = await app.verdict(accepted.ids[0])

    assert verdict is not None
    assert verdict.outcome is Outcome.FAIL
    assert {image.name for image in verdict.images} == {app_image, init_image}
    assert verdict.deployment.kind == "container_group"


async def test_what_ran_before_scanguard_did_is_found_by_the_inventory(rig: Rig, registry: FakeRegistry) -> None:
    image = pushed(registry, "shop/api")
    ids = {
        rig.world.put(made)
        for made in (
            container_group("a", image),
            container_group("b", image),
            container_app("c", image),
            job("d", image),
        )
    }
    async with working(options(rig, registry)) as app:
        found = await verdicts(app, len(ids))

    assert {verdict.deployment.resource_id for verdict in found} == ids
    assert {verdict.outcome for verdict in found} == {Outcome.FAIL}
    assert {verdict.event.type for verdict in found} == {"scanguard.inventory"}


async def test_azure_that_throttles_and_fails_delays_and_loses_nothing(rig: Rig, registry: FakeRegistry) -> None:
    image = pushed(registry, "shop/api")
    ids = [rig.world.put(container_group(f"g{number}", image)) for number in range(12)]
    rig.arm.faults = [
        Fault(status=429, retry_after_s=0, probability=0.3),
        Fault(status=503, retry_after_s=0, probability=0.2),
        Fault("reset", times=2),
    ]
    async with App.load(options(rig, registry, inventory_every=None)) as app:
        accepted = await app.accept(written(*ids))
        await asyncio.wait_for(app.work(until=accepted.ids), 40)
        found = [await app.verdict(name) for name in accepted.ids]

    assert [verdict.outcome if verdict else None for verdict in found] == [Outcome.FAIL] * 12
    assert rig.arm.statuses[429] > 0


async def test_a_missing_role_is_a_verdict_of_unknown_that_names_it(rig: Rig, registry: FakeRegistry) -> None:
    id_ = rig.world.put(container_group("api", pushed(registry, "shop/api")))
    rig.world.forbidden.add("containergroups")
    async with App.load(options(rig, registry, inventory_every=None)) as app:
        accepted = await app.accept(written(id_))
        await asyncio.wait_for(app.work(until=accepted.ids), 20)
        verdict = await app.verdict(accepted.ids[0])

    assert verdict is not None
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.deployment.kind == "container_group"
    assert verdict.deployment.resource_group == "rg-shop"
    assert "Microsoft.ContainerInstance/containerGroups/read" in verdict.model_dump_json()


async def test_a_deployment_that_vanished_is_closed_by_the_inventory(rig: Rig, registry: FakeRegistry) -> None:
    image = pushed(registry, "shop/api")
    gone, stays = (rig.world.put(container_group(name, image)) for name in ("gone", "stays"))
    async with working(options(rig, registry)) as app:
        await verdicts(app, 2)
        await inventoried(app)
        rig.world.delete(gone)
        await app.sweeps.run("azure")
        ended = await closed(app, gone)
        (kept,) = await app.backend.records.query(RecordQuery(resource=stays, latest_only=True))

    assert ended.outcome is Outcome.FAIL, "what was found in it stays known"
    assert kept.closed_at is None


async def test_what_the_inventory_may_not_see_is_not_closed(rig: Rig, registry: FakeRegistry) -> None:
    id_ = rig.world.put(container_group("api", pushed(registry, "shop/api")))
    async with working(options(rig, registry)) as app:
        await verdicts(app, 1)
        await inventoried(app)
        rig.world.hidden.add(id_.lower())
        rig.world.forbidden.add("/subscriptions/")
        await app.sweeps.run("azure")
        failed = await inventoried(app, run=2)
        (verdict,) = await app.backend.records.query(RecordQuery(resource=id_, latest_only=True))

    assert failed.failed_at is not None
    assert "Microsoft.Resources/subscriptions/read" in failed.error
    assert verdict.closed_at is None


async def test_a_deletion_closes_the_deployment_at_once(rig: Rig, registry: FakeRegistry) -> None:
    id_ = rig.world.put(container_group("api", pushed(registry, "shop/api")))
    async with working(options(rig, registry, inventory_every=None)) as app:
        await app.accept(written(id_))
        await verdicts(app, 1)
        rig.world.delete(id_)
        event = {**json.loads(written(id_))[0], "id": "d1", "eventType": "Microsoft.Resources.ResourceDeleteSuccess"}
        event["data"]["operationName"] = "Microsoft.ContainerInstance/containerGroups/delete"
        await app.accept(json.dumps(event).encode())

        assert (await closed(app, id_)).deployment.name == "api"


async def test_a_pushed_image_is_judged_before_anything_runs_it(rig: Rig, registry: FakeRegistry) -> None:
    digest = registry.push_image("shop/api", tag="1").digest
    async with App.load(options(rig, registry, inventory_every=None)) as app:
        accepted = await app.accept(
            json.dumps(
                {
                    "id": "p1",
                    "topic": "/subscriptions/s",
                    "subject": "shop/api:1",
                    "eventType": "Microsoft.ContainerRegistry.ImagePushed",
                    "eventTime": "2026-03-01T18:38:04Z",
                    "data": {
                        "target": {"repository": "shop/api", "digest": digest, "mediaType": OCI_MANIFEST},
                        "request": {"host": "acme.azurecr.io"},
                    },
                }
            ).encode()
        )
    assert len(accepted.ids) == 1
    assert not accepted.skipped + accepted.rejected


async def test_a_registry_that_refuses_is_reported_with_the_workloads_own_login(
    rig: Rig, registry: FakeRegistry
) -> None:
    registry.auth = "basic"
    document = container_group("api", pushed(registry, "shop/api"))
    document["properties"]["imageRegistryCredentials"] = [{"server": registry.host, "username": "deploy"}]
    id_ = rig.world.put(document)
    async with App.load(options(rig, registry, inventory_every=None)) as app:
        accepted = await app.accept(written(id_))
        await asyncio.wait_for(app.work(until=accepted.ids), 20)
        verdict = await app.verdict(accepted.ids[0])

    assert verdict is not None
    assert verdict.outcome is Outcome.UNKNOWN
    assert f"logs in to {registry.host} as the user deploy" in verdict.images[0].error
