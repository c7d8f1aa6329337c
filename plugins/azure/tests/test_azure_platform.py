"""The platform: what runs is what is scanned, and what cannot be read is never taken for nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from arm_rig import Rig, azure_rig
from arm_world import container_group

from scanguard.model.deployment import Container


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with azure_rig(tmp_path, monkeypatch) as made:
        yield made


async def test_a_container_group_is_read_with_its_init_containers(rig: Rig) -> None:
    id_ = rig.world.put(container_group("api1", "acme.azurecr.io/shop/api:1.4.2", "nginx", init=["busybox"]))

    found = await rig.platform().describe(id_)

    assert found is not None
    assert found.kind == "container_group"
    assert (found.name, found.subscription, found.resource_group) == ("api1", id_.split("/")[2], "rg-shop")
    assert (found.location, found.tags, str(found.platform)) == ("westeurope", {"env": "prod"}, "linux/amd64")
    assert found.containers == (
        Container(name="i0", image="busybox", init=True),
        Container(name="c0", image="acme.azurecr.io/shop/api:1.4.2"),
        Container(name="c1", image="nginx"),
    )


async def test_a_resource_that_is_gone_is_none(rig: Rig) -> None:
    id_ = rig.world.put(container_group("api1", "nginx"))
    rig.world.delete(id_)

    assert await rig.platform().describe(id_) is None
