"""Any image against the plainest model; any bytes against the error tree."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from contextlib import suppress

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from scanguard.errors import ImageCorruptError, RegistryError
from scanguard.oci.blobs import RawManifest
from scanguard.oci.content import digest_of
from scanguard.oci.layers import LayerReader
from scanguard.oci.limits import ReadLimits
from scanguard.oci.resolve import resolve_platform
from scanguard.testing.images import BuiltImage, build_image
from scanguard.testing.naive import final_view, real_path
from scanguard.testing.sources import MemorySource
from scanguard.testing.tars import Directory, Entry, Link, Special, Symlink, build_tar

PART = st.sampled_from(["a", "b", "c"])
PATH = st.lists(PART, min_size=1, max_size=3).map("/".join)
LOOSE = st.lists(st.sampled_from(["a", "b", "c", "..", "."]), min_size=1, max_size=4).map("/".join)
TARGET = st.tuples(st.sampled_from(["", "/"]), LOOSE).map("".join)
WHITEOUT = st.tuples(PATH, st.sampled_from(["a", "b", "c", ".wh..opq", ".wh.plnk"])).map(lambda p: f"{p[0]}/.wh.{p[1]}")
ENTRY: st.SearchStrategy[Entry] = st.one_of(
    st.binary(max_size=3), TARGET.map(Symlink), st.just(Directory()), st.just(Special()), LOOSE.map(Link)
)
LAYER = st.lists(st.one_of(st.tuples(st.one_of(PATH, LOOSE), ENTRY), st.tuples(WHITEOUT, st.just(b""))), max_size=8)
COMMON = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


async def read(
    image: BuiltImage, wanted: Callable[[str], bool], limits: ReadLimits | None = None
) -> tuple[list[tuple[str, bytes]], list[str]]:
    source = MemorySource.of({"t": image})
    found = await resolve_platform(source, "t", None)
    reader = await LayerReader.open(source, found.manifest, limits)
    paths: list[str] = []
    return [(file.path, file.data) async for file in reader.files(wanted, on_path=paths.append)], paths


@COMMON
@given(st.lists(LAYER, min_size=1, max_size=4), st.lists(PATH, min_size=1, max_size=6))
def test_the_merged_view_is_the_one_of_the_plainest_model(
    layers: list[list[tuple[str, Entry]]], asked: list[str]
) -> None:
    try:
        view = final_view(layers)
    except RecursionError:
        assume(False)
    image = build_image(list(layers), compression="plain")
    try:
        files, paths = asyncio.run(read(image, lambda path: True))
    except ImageCorruptError as exc:
        if "hard link to a directory" not in exc.message:
            raise
        return
    real = {path: data for path, data in view.items() if isinstance(data, bytes)}
    assert sorted(paths) == sorted(real)
    assert {path: data for path, data in files if path in real} == real
    for path in asked:
        place = real_path(view, path)
        there = view.get(place) if place is not None else None
        expected = [(path, there)] if isinstance(there, bytes) else []
        assert asyncio.run(read(image, {path}.__contains__))[0] == expected, path


def corrupted(data: bytes) -> st.SearchStrategy[bytes]:
    """The data with some bytes changed, cut, or doubled."""

    def change(places: list[tuple[int, bytes]]) -> bytes:
        changed = bytearray(data)
        for place, new in places:
            at = place % (len(changed) + 1)
            changed[at : at + len(new)] = new
        return bytes(changed)

    return st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(max_size=20)), max_size=4).map(change)


_ENTRIES: dict[str, Entry] = {
    "a/b": b"x" * 600,
    "a/" + "n" * 150: b"long",
    "l": Symlink("a/b"),
    "h": Link("a/b"),
    ".wh.q": b"",
}
SAMPLE = build_tar(_ENTRIES)
BYTES = st.one_of(
    st.binary(max_size=2000),
    corrupted(SAMPLE),
    corrupted(gzip.compress(SAMPLE)),
    st.binary(max_size=600).map(gzip.compress),
)


@COMMON
@given(BYTES)
def test_any_bytes_as_a_layer_give_files_or_a_registry_error(layer: bytes) -> None:
    image = build_image([{"a": b"lower"}, layer], compression="plain")
    with suppress(RegistryError):
        files, _ = asyncio.run(read(image, lambda path: True, ReadLimits(max_seconds=5)))
        assert all(path and not path.startswith("/") for path, _ in files)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["manifests", "layers", "config", "digest", "size", "mediaType", "platform", "annotations"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
IMAGE = build_image([{"a": b"x"}])


@COMMON
@given(
    st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode()), corrupted(IMAGE.manifest)),
    st.sampled_from(["", IMAGE.media_type, "application/vnd.oci.image.index.v1+json", "text/html"]),
)
def test_any_bytes_as_a_manifest_give_an_image_or_a_registry_error(data: bytes, media_type: str) -> None:
    source = MemorySource.of({"i": IMAGE})
    source.manifests["t"] = RawManifest(digest_of(data), media_type, data)
    with suppress(RegistryError):
        found = asyncio.run(resolve_platform(source, "t", None))
        asyncio.run(LayerReader.open(source, found.manifest))


@COMMON
@given(st.one_of(JSON, st.fixed_dictionaries({"rootfs": JSON, "architecture": JSON, "os": JSON})))
def test_any_config_gives_an_image_or_a_registry_error(config: object) -> None:
    data = json.dumps(config).encode()
    manifest = json.loads(IMAGE.manifest)
    manifest["config"] = {"mediaType": "x", "digest": digest_of(data), "size": len(data)}
    raw = json.dumps(manifest).encode()
    source = MemorySource({"t": RawManifest(digest_of(raw), IMAGE.media_type, raw)}, {digest_of(data): data})
    with suppress(RegistryError):
        found = asyncio.run(resolve_platform(source, "t", None))
        asyncio.run(LayerReader.open(source, found.manifest))
