"""From Azure to a stored verdict, with everything of scanguard in between and a registry at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from arm_faults import Fault
from arm_rig import Rig, azure_rig
from arm_world import SUBSCRIPTION, container_app, container_group, job

from scanguard.app import App, AppOptions
from scanguard.model.verdict import Outcome, Verdict
from scanguard.ports import RecordQuery
from scanguard.testing.registry import FakeRegistry

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


async def verdicts(app: App, wanted: int) -> Sequence[Verdict]:
    """Work until there are so many verdicts."""
    working = asyncio.ensure_future(app.work())
    try:
        async with asyncio.timeout(30):
            while len(found := await app.backend.records.query(RecordQuery())) < wanted:
                await asyncio.wait({working}, timeout=0.1)
            return found
    finally:
        working.cancel()
        await asyncio.wait({working})


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
    async with App.load(options(rig, registry)) as app:
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
