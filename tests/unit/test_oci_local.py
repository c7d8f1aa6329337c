"""Images in folders and archives of this machine."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from scanguard.errors import (
    ImageCorruptError,
    ImageNotFoundError,
    ImageTooLargeError,
    PlatformMismatchError,
    RegistryRefusedError,
)
from scanguard.model.image import Platform
from scanguard.oci.layers import LayerReader
from scanguard.oci.local import is_local, open_local
from scanguard.oci.resolve import Resolved, resolve_platform
from scanguard.testing.images import (
    BuiltImage,
    build_image,
    build_index,
    write_oci_archive,
    write_oci_folder,
)
from scanguard.testing.tars import Entry, Link, Symlink, build_tar

ONE = build_image([{"a": b"lower", "b": b"b"}, {"a": b"one"}])
TWO = build_image([{"a": b"two"}], compression="zstd")
ARM = build_image([{"a": b"arm"}], platform=Platform.parse("linux/arm64"))


async def read(locator: str, platform: Platform | None = None) -> tuple[Resolved, dict[str, bytes]]:
    source = open_local(locator)
    found = await resolve_platform(source, locator, platform)
    reader = await LayerReader.open(source, found.manifest)
    return found, {file.path: file.data async for file in reader.files(lambda path: True)}


def layout(kind: str, folder: Path, tags: dict[str, BuiltImage]) -> str:
    if kind == "oci":
        return f"oci:{write_oci_folder(folder / 'image', tags)}"
    return f"oci-archive:{write_oci_archive(folder / 'image.tar', tags)}"


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
async def test_an_image_layout_is_read_by_tag_and_by_digest(kind: str, tmp_path: Path) -> None:
    locator = layout(kind, tmp_path, {"one": ONE, "two": TWO})
    for suffix, image, content in [
        (":one", ONE, {"a": b"one", "b": b"b"}),
        (":two", TWO, {"a": b"two"}),
        (f"@{TWO.digest}", TWO, {"a": b"two"}),
    ]:
        found, files = await read(locator + suffix)
        assert (found.raw.digest, files) == (image.digest, content)
    with pytest.raises(ImageNotFoundError, match="after a colon: one, two"):
        await read(locator)
    with pytest.raises(ImageNotFoundError, match=r"no image 'three'.*one, two"):
        await read(f"{locator}:three")
    with pytest.raises(ImageNotFoundError, match="no blob"):
        await read(f"{locator}@sha256:{'0' * 64}")


@pytest.mark.parametrize("kind", ["oci", "oci-archive"])
async def test_the_only_image_needs_no_tag(kind: str, tmp_path: Path) -> None:
    found, files = await read(layout(kind, tmp_path, {"one": ONE}))
    assert (found.raw.digest, files["a"]) == (ONE.digest, b"one")


@pytest.mark.parametrize(
    "tags",
    [pytest.param({"t": build_index([ONE, ARM])}, id="index"), pytest.param(None, id="entries without names")],
)
async def test_a_platform_is_chosen_in_a_layout(tags: dict[str, BuiltImage] | None, tmp_path: Path) -> None:
    locator = f"oci:{write_oci_folder(tmp_path, tags or {'': ONE})}"
    if tags is None:
        index = json.loads((tmp_path / "index.json").read_bytes())
        write_oci_folder(tmp_path, {"": ARM})
        index["manifests"].append(ARM.descriptor())
        (tmp_path / "index.json").write_text(json.dumps(index))
    found, files = await read(locator, Platform.parse("linux/arm64"))
    assert (found.raw.digest, files) == (ARM.digest, {"a": b"arm"})
    assert found.index_digest is not None
    again = await resolve_platform(open_local(locator), found.index_digest, None)
    assert again.raw.digest == ONE.digest
    with pytest.raises(PlatformMismatchError, match="linux/amd64, linux/arm64"):
        await read(locator, Platform.parse("linux/s390x"))


@pytest.mark.parametrize("classic", [True, False], ids=["docker 24", "docker 25"])
async def test_what_docker_saved_is_read_by_name(classic: bool, tmp_path: Path) -> None:
    path = ONE.write_docker_archive(tmp_path / "i.tar", "team/app:1", "app:latest", classic=classic)
    digests = set()
    for suffix in ["", ":team/app:1", ":app", ":app:latest"]:
        found, files = await read(f"docker-archive:{path}{suffix}")
        assert files == {"a": b"one", "b": b"b"}
        assert found.manifest.config.digest == json.loads(ONE.manifest)["config"]["digest"]
        digests.add(found.raw.digest)
    assert len(digests) == 1
    source = open_local(f"docker-archive:{path}")
    assert (await resolve_platform(source, digests.pop(), None)).index_digest is None
    with pytest.raises(ImageNotFoundError, match=r"no image 'team/app:2'.*app:latest, team/app:1"):
        await read(f"docker-archive:{path}:team/app:2")


async def test_compressed_and_linked_layers_of_an_archive_are_read(tmp_path: Path) -> None:
    config = json.loads(ONE.config)
    config["rootfs"]["diff_ids"].append(config["rootfs"]["diff_ids"][0])
    listed = [{"Config": "c.json", "RepoTags": None, "Layers": ["1/layer.tar", "2/layer.tar.gz", "3/layer.tar"]}]
    entries: dict[str, Entry] = {
        "manifest.json": json.dumps(listed).encode(),
        "c.json": json.dumps(config).encode(),
        "1/layer.tar": ONE.diffs[0],
        "2/layer.tar.gz": gzip.compress(ONE.diffs[1]),
        "3/layer.tar": Symlink("../1/layer.tar"),
    }
    path = tmp_path / "i.tar"
    path.write_bytes(build_tar(entries))
    assert (await read(f"docker-archive:{path}"))[1] == {"a": b"lower", "b": b"b"}
    path.write_bytes(build_tar({**entries, "3/layer.tar": Link("1/layer.tar")}))
    assert (await read(f"docker-archive:{path}"))[1] == {"a": b"lower", "b": b"b"}


@pytest.mark.parametrize("locator", ["oci:{}/none", "oci-archive:{}/none.tar:tag", "docker-archive:{}/none.tar:a/b:c"])
async def test_what_is_not_there_says_what_to_give(locator: str, tmp_path: Path) -> None:
    with pytest.raises(ImageNotFoundError, match=r"there is no .*none.*; give the path"):
        await read(locator.format(tmp_path))


def test_what_is_no_locator_is_said_at_once() -> None:
    assert is_local("oci:x")
    assert not is_local("ghcr.io/oci:1")
    assert not is_local("oci")
    with pytest.raises(ImageNotFoundError, match="oci-archive:PATH"):
        open_local("alpine:3")


def symlinked_out(folder: Path) -> None:
    secret = folder.parent / "secret.json"
    secret.write_bytes((folder / "index.json").read_bytes())
    (folder / "index.json").unlink()
    (folder / "index.json").symlink_to(secret)


def blob_out(folder: Path) -> None:
    layer = folder / "blobs" / ONE.layers[0].replace(":", "/")
    layer.rename(folder.parent / "layer")
    layer.symlink_to("../../../layer")


def a_fifo(folder: Path) -> None:
    (folder / "index.json").unlink()
    os.mkfifo(folder / "index.json")


def changed_manifest(folder: Path) -> None:
    path = folder / "blobs" / ONE.digest.replace(":", "/")
    path.write_bytes(path.read_bytes() + b" ")


def huge_index(folder: Path) -> None:
    with (folder / "index.json").open("r+b") as file:
        file.truncate(5 << 20)


@pytest.mark.parametrize(
    ("break_it", "error"),
    [
        pytest.param(symlinked_out, RegistryRefusedError, id="index out of the folder"),
        pytest.param(blob_out, RegistryRefusedError, id="blob out of the folder"),
        pytest.param(a_fifo, ImageCorruptError, id="fifo"),
        pytest.param(changed_manifest, ImageCorruptError, id="manifest that is not its digest"),
        pytest.param(huge_index, ImageTooLargeError, id="huge index"),
        pytest.param(lambda folder: (folder / "index.json").unlink(), ImageNotFoundError, id="no index"),
        pytest.param(lambda folder: (folder / "index.json").write_bytes(b"{"), ImageCorruptError, id="broken index"),
    ],
)
async def test_a_folder_that_lies_is_refused(
    break_it: Callable[[Path], None], error: type[Exception], tmp_path: Path
) -> None:
    folder = write_oci_folder(tmp_path / "image", {"one": ONE})
    break_it(folder)
    with pytest.raises(error):
        await read(f"oci:{folder}")


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        pytest.param(b"{}", "does not describe", id="no list"),
        pytest.param(b"[", "no JSON", id="no JSON"),
        pytest.param(b"[1]", "does not describe", id="no object"),
        pytest.param(b'[{"Config":"c","Layers":["/etc/passwd"]}]', "no '/etc/passwd'", id="path of the machine"),
        pytest.param(b'[{"Config":"../../../etc/passwd","Layers":[]}]', "etc/passwd", id="path above"),
        pytest.param(b'[{"Config":"c","Layers":[]}]', "does not describe", id="layers missing"),
        pytest.param(b'[{"Config":"loop","Layers":[]}]', "no 'loop'", id="link to itself"),
    ],
)
async def test_an_archive_that_lies_is_refused(manifest: bytes, says: str, tmp_path: Path) -> None:
    config = json.dumps({"rootfs": {"diff_ids": [f"sha256:{'0' * 64}"]}}).encode()
    entries: dict[str, Entry] = {"manifest.json": manifest, "c": config, "loop": Symlink("loop")}
    (tmp_path / "i.tar").write_bytes(build_tar(entries))
    with pytest.raises(ImageCorruptError, match=says):
        await read(f"docker-archive:{tmp_path / 'i.tar'}")


async def test_a_compressed_or_cut_archive_is_said(tmp_path: Path) -> None:
    path = ONE.write_docker_archive(tmp_path / "i.tar", "a:1")
    whole = path.read_bytes()
    path.write_bytes(gzip.compress(whole))
    with pytest.raises(ImageCorruptError, match="uncompress it first"):
        await read(f"docker-archive:{path}")
    path.write_bytes(whole[:2000])
    with pytest.raises(ImageCorruptError, match=r"cut off"):
        await read(f"docker-archive:{path}")
    path.write_bytes(b"")
    with pytest.raises(ImageCorruptError, match="no archive of 'docker save'"):
        await read(f"docker-archive:{path}")
