"""Deployments described in a file, and images named by hand."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from scanguard.builtin import static, static_file
from scanguard.builtin.image import ImagePlatform, ImagePlatformConfig, owns_image
from scanguard.builtin.static import StaticConfig, StaticPlatform
from scanguard.errors import PlatformError
from scanguard.model.deployment import Container, Deployment
from scanguard.model.image import Platform
from scanguard.testing.contexts import make_context
from scanguard.testing.memory import ManualClock

ID = "/subscriptions/s-1/resourceGroups/rg-shop/providers/Microsoft.ContainerInstance/containerGroups/api"
TEXT = f"""\
deployments:
  - resource_id: {ID}
    location: westeurope
    tags: {{env: demo}}
    platform: linux/arm64
    containers:
      - name: web
        image: oci-archive:images/web.tar
      - {{name: setup, image: "shop.example/setup:1", init: true}}
"""
ONE = [{"resource_id": "a/b", "containers": [{"name": "c", "image": "i"}]}]


def platform(folder: Path, text: str | bytes = TEXT, *, name: str = "deployments.yaml") -> StaticPlatform:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(data)
    return StaticPlatform(StaticConfig(file=Path(name)), make_context(folder))


async def test_a_deployment_is_found_by_its_id_in_any_case(tmp_path: Path) -> None:
    deployment = await platform(tmp_path).describe(ID.upper())
    assert deployment is not None
    assert deployment.resource_id == ID
    assert deployment.containers == (
        Container(name="web", image=f"oci-archive:{tmp_path}/images/web.tar"),
        Container(name="setup", image="shop.example/setup:1", init=True),
    )
    assert (deployment.platform, deployment.tags) == (Platform(architecture="arm64"), {"env": "demo"})


async def test_what_the_id_tells_need_not_be_written(tmp_path: Path) -> None:
    deployment = await platform(tmp_path).describe(ID)
    assert deployment is not None
    assert (deployment.name, deployment.subscription, deployment.resource_group) == ("api", "s-1", "rg-shop")


async def test_an_id_that_the_file_does_not_have_is_gone(tmp_path: Path) -> None:
    assert await platform(tmp_path).describe(ID + "x") is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("d.json", json.dumps(ONE), id="json"),
        pytest.param("d.json", json.dumps(ONE, indent="\t"), id="json-with-tabs"),
        pytest.param("d.yaml", "- {resource_id: a/b, containers: [{name: c, image: i}]}", id="bare-list"),
        pytest.param("d.yaml", "\ufeff- {resource_id: a/b, containers: [{name: c, image: i}]}", id="byte-order-mark"),
    ],
)
async def test_yaml_and_json_are_both_read(tmp_path: Path, name: str, text: str) -> None:
    assert await platform(tmp_path, text, name=name).describe("A/B") is not None


@pytest.mark.parametrize("image", ["oci:/abs/dir", "docker-archive:/abs/file.tar", "shop.example/oci:1"])
async def test_an_absolute_locator_or_a_registry_name_stays_as_it_is(tmp_path: Path, image: str) -> None:
    text = f"- {{resource_id: a, containers: [{{name: c, image: '{image}'}}]}}"
    found = await platform(tmp_path, text).describe("a")
    assert found is not None
    assert found.containers[0].image == image


async def test_many_who_ask_at_once_read_the_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    read = static_file.read_deployments

    def counted(path: Path, now: datetime) -> Mapping[str, Deployment]:
        nonlocal reads
        reads += 1
        return read(path, now)

    monkeypatch.setattr(static, "read_deployments", counted)
    one = platform(tmp_path)
    found = await asyncio.gather(*(one.describe(ID) for _ in range(8)))
    assert all(found)
    assert reads == 1


async def test_a_changed_file_is_read_again_and_each_answer_says_when_it_was_seen(tmp_path: Path) -> None:
    clock = ManualClock()
    path = tmp_path / "deployments.yaml"
    path.write_text(TEXT)
    static = StaticPlatform(StaticConfig(file=path), make_context(tmp_path, clock=clock))
    first = await static.describe(ID)
    clock.advance(60)
    path.write_text(TEXT.replace("setup:1", "setup:2"))
    os.utime(path, ns=(1, 1))
    second = await static.describe(ID)
    assert first is not None
    assert second is not None
    assert second.seen_at - first.seen_at == timedelta(seconds=60)
    assert second.containers[1].image == "shop.example/setup:2"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        pytest.param(TEXT.replace("location:", "loction:"), 3, "deployments.0.loction", id="misspelt-key"),
        pytest.param(TEXT.replace("image: oci-archive", "imag: oci-archive"), 7, "containers.0.image", id="no-image"),
        pytest.param(TEXT.replace("linux/arm64", "arm64"), 5, "deployments.0.platform", id="no-platform"),
        pytest.param(TEXT.replace("env: demo", "env: 2024-13-45"), 1, "not YAML", id="date-that-is-none"),
        pytest.param(TEXT.replace("env: demo", "env: 1"), 4, "tags.env", id="tag-that-is-a-number"),
        pytest.param(TEXT + "  - resource_id: [\n", 11, "expected", id="broken-yaml"),
        pytest.param("a: &a [1]\nb: *a\n", 2, "alias", id="alias"),
        pytest.param("- " * 20 + "x", 1, "nested", id="too-deep"),
        pytest.param("[" * 100_000, 1, "nest", id="very-deep"),
        pytest.param("just text", 1, "list of deployments", id="no-list"),
        pytest.param("", 1, "list of deployments", id="empty"),
        pytest.param(TEXT + TEXT.partition("\n")[2].replace(ID, ID.upper()), 10, "twice", id="twice-in-another-case"),
        pytest.param(TEXT + TEXT.partition("\n")[2], 10, "twice", id="twice"),
        pytest.param(b"- a\n- \xff\n", 2, "UTF-8", id="not-text"),
        pytest.param(b"- !!python/object/apply:os.system [reboot]\n", 1, "", id="code"),
        pytest.param(b"- {? [a] : b}\n", 1, "", id="key-that-is-a-list"),
    ],
)
async def test_a_broken_file_is_named_with_its_line(tmp_path: Path, text: str | bytes, line: int, says: str) -> None:
    with pytest.raises(PlatformError) as caught:
        await platform(tmp_path, text).describe(ID)
    assert f"deployments.yaml, line {line}: " in caught.value.message
    assert says in caught.value.message


async def test_a_file_that_is_missing_or_huge_is_an_error(tmp_path: Path) -> None:
    missing = StaticPlatform(StaticConfig(file=Path("nowhere.yaml")), make_context(tmp_path))
    with pytest.raises(PlatformError, match=r"nowhere\.yaml: No such file"):
        await missing.describe(ID)
    with pytest.raises(PlatformError, match="larger than"):
        await platform(tmp_path, b" " * (2 * 1024 * 1024 + 1)).describe(ID)


async def test_an_image_named_by_hand_is_a_deployment_of_one_container(tmp_path: Path) -> None:
    described = await ImagePlatform(ImagePlatformConfig(), make_context(tmp_path)).describe("image:Shop.example/web:1")
    assert described is not None
    assert (described.kind, described.name) == ("image", "Shop.example/web:1")
    assert described.containers == (Container(name="image", image="Shop.example/web:1"),)


@pytest.mark.parametrize(
    ("resource_id", "owned"),
    [("image:a", True), ("IMAGE:a", True), ("image:", False), ("images:a", False), (ID, False)],
)
async def test_only_image_ids_belong_to_the_image_platform(tmp_path: Path, resource_id: str, owned: bool) -> None:
    assert owns_image(resource_id) is owned
    described = await ImagePlatform(ImagePlatformConfig(), make_context(tmp_path)).describe(resource_id)
    assert (described is not None) is owned
