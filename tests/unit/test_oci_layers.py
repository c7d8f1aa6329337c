"""Files of the final view, from layers that may be hostile."""

from __future__ import annotations

import asyncio
import gzip
import os
import tarfile
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing

import pytest

from scanguard.errors import ImageCorruptError, ImageTooLargeError, RegistryRefusedError, RegistryUnavailableError
from scanguard.oci.blobs import Descriptor
from scanguard.oci.content import digest_of
from scanguard.oci.layers import LayerReader
from scanguard.oci.limits import ReadLimits
from scanguard.oci.resolve import resolve_platform
from scanguard.testing.images import BuiltImage, build_image
from scanguard.testing.naive import final_view
from scanguard.testing.sources import MemorySource
from scanguard.testing.tars import Compression, Directory, Entry, Link, Special, Symlink, build_tar, compress

Layers = Sequence[Sequence[tuple[str, Entry]]]


async def opened(image: BuiltImage, limits: ReadLimits | None = None) -> tuple[LayerReader, MemorySource]:
    source = MemorySource.of({"t": image})
    return await LayerReader.open(source, (await resolve_platform(source, "t", None)).manifest, limits), source


async def files(
    image: BuiltImage, wanted: Callable[[str], bool] = lambda path: True, limits: ReadLimits | None = None
) -> dict[str, bytes]:
    reader, _ = await opened(image, limits)
    return {file.path: file.data async for file in reader.files(wanted)}


X = b"x"
CASES = [
    pytest.param([[("a", b"1"), ("a", b"2")]], {"a": b"2"}, id="last of a name wins"),
    pytest.param([[("a", b"1")], [("a", b"2")]], {"a": b"2"}, id="upper layer wins"),
    pytest.param([[("a", X), ("b", X)], [(".wh.a", b"")]], {"b": X}, id="whiteout"),
    pytest.param([[("d/a", X), ("d/e/f", X)], [(".wh.d", b"")]], {}, id="whiteout of a directory"),
    pytest.param([[("a", b"1")], [("a", b"2"), (".wh.a", b"")]], {"a": b"2"}, id="whiteout is for lower layers only"),
    pytest.param([[("d/a", X)], [(".wh.d", b""), ("d/b", X)]], {"d/b": X}, id="directory made anew"),
    pytest.param([[("d/a", X)], [("d/b", X), ("d/.wh..wh..opq", b"")]], {"d/b": X}, id="opaque directory"),
    pytest.param([[("a", X)], [(".wh..wh..opq", b""), ("b", X)]], {"b": X}, id="opaque root"),
    pytest.param([[("d/a", X)], [(".wh.d", b"")], [("d/b", X)]], {"d/b": X}, id="whiteout between layers"),
    pytest.param([[("d/a", X)], [("d", X)]], {"d": X}, id="directory becomes file"),
    pytest.param([[("d", X)], [("d/a", X)]], {"d/a": X}, id="file becomes directory"),
    pytest.param([[("d/a", X)], [("d", X)], [("d/b", X)]], {"d/b": X}, id="a file between hides what is below"),
    pytest.param([[("d/a", X)], [("d", Special("character"))]], {}, id="device in the place of a directory"),
    pytest.param([[("d/a", X), ("d", X), ("d/b", X)]], {"d/b": X}, id="replaced within a layer"),
    pytest.param([[("a", X)], [(".wh..wh.plnk", b""), (".wh.", b"")]], {"a": X}, id="marks that mean nothing"),
    pytest.param([[("/a", b"1"), ("./b", b"2"), ("../../c", b"3")]], {"a": b"1", "b": b"2", "c": b"3"}, id="contained"),
    pytest.param([[("d/../a", X), ("d//e/./f", X)]], {"a": X, "d/e/f": X}, id="names are made plain"),
    pytest.param([[("a", X), ("h", Link("a"))]], {"a": X, "h": X}, id="hard link"),
    pytest.param([[("a", b"1"), ("h", Link("a")), ("a", b"2")]], {"a": b"2", "h": b"1"}, id="link keeps the old file"),
    pytest.param([[("a", X), ("h", Link("a"))], [(".wh.a", b"")]], {"h": X}, id="link outlives its target"),
    pytest.param([[("usr/a", X), ("lib", Symlink("usr")), ("lib/b", X)]], {"usr/a": X, "usr/b": X}, id="through link"),
    pytest.param([[("lib", Symlink("/../../x")), ("lib/b", X)]], {"x/b": X}, id="link out of the root"),
    pytest.param([[("lib", Symlink("usr"))], [("lib/b", X)]], {"lib/b": X}, id="as overlayfs: directory over link"),
    pytest.param([[("n" * 99 + "/" + "m" * 300, X)]], {"n" * 99 + "/" + "m" * 300: X}, id="long name"),
    pytest.param([[("ü", X)]], {"ü": X}, id="not ASCII"),
    pytest.param([[("d/", Directory()), ("f", Special()), ("b", Special("block"))]], {}, id="nothing regular"),
    pytest.param([[]], {}, id="empty layer"),
]


@pytest.mark.parametrize("compression", ["gzip", "zstd", "plain"])
@pytest.mark.parametrize(("layers", "expected"), CASES)
async def test_the_final_view_follows_the_specification(
    layers: Layers, expected: dict[str, bytes], compression: Compression
) -> None:
    naive = {path: data for path, data in final_view(layers).items() if isinstance(data, bytes)}
    assert naive == expected
    reader, _ = await opened(build_image(layers, compression=compression))
    seen: list[str] = []
    found = {file.path: file.data async for file in reader.files(lambda path: True, on_path=seen.append)}
    assert {path: found[path] for path in found if path in expected} == expected
    assert sorted(seen) == sorted(expected)


@pytest.mark.parametrize(
    ("layers", "path"),
    [
        pytest.param([{"usr/lib/apk/db": b"yes", "lib": Symlink("usr/lib")}], "lib/apk/db", id="merged usr"),
        pytest.param([{"opt/x/status": b"yes"}, {"var/lib/dpkg": Symlink("/opt/x")}], "var/lib/dpkg/status", id="to"),
        pytest.param([{"var/lib/dpkg": Symlink("/opt/x")}, {"opt/x/status": b"yes"}], "var/lib/dpkg/status", id="on"),
        pytest.param([{"s": b"yes", "v/l/d/status": Symlink("../../../s")}], "v/l/d/status", id="a link to the file"),
        pytest.param([{"s": b"yes", "a": Symlink("b"), "b": Symlink("/c"), "c": Symlink("s")}], "a", id="a chain"),
        pytest.param(
            [{"status": b"yes", "var": Symlink("/"), "lib": Symlink("."), "dpkg": Symlink("/lib")}],
            "var/lib/dpkg/status",
            id="the root again and again",
        ),
        pytest.param([{"c/s": b"yes", "a": Symlink("x"), "x/b": Symlink("../c")}], "a/b/s", id="nested links"),
        pytest.param([{"low": b"yes"}, {"h": Link("low")}], "h", id="hard link into a lower layer"),
        pytest.param([{"a": b"yes", "h": Link("a")}, {".wh.a": b""}], "h", id="hard link whose target is not wanted"),
    ],
)
async def test_a_wanted_path_is_found_wherever_links_lead(layers: list[dict[str, Entry]], path: str) -> None:
    assert await files(build_image(layers), {path}.__contains__) == {path: b"yes"}


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param({"a": Symlink("b"), "b": Symlink("a")}, id="two"),
        pytest.param({"a": Symlink("a")}, id="itself"),
        pytest.param({"a": Symlink("a/a")}, id="growing"),
        pytest.param({"a": Symlink("gone")}, id="to nothing"),
    ],
)
async def test_links_that_lead_nowhere_end(entries: dict[str, Entry]) -> None:
    assert await files(build_image([{**entries, "f": X}])) == {"f": X}


async def test_a_file_comes_once_by_its_real_path_and_says_its_layer() -> None:
    lower: dict[str, Entry] = {"usr/lib/m": b"1", "lib": Symlink("usr/lib")}
    image = build_image([lower, {"top": b"2"}])
    reader, source = await opened(image)
    found = [(file.path, file.layer) async for file in reader.files(lambda path: path.endswith(("m", "top")))]
    assert found == [("top", image.layers[1]), ("usr/lib/m", image.layers[0])]
    assert [digest for digest in source.opened if digest in image.layers] == list(reversed(image.layers))
    assert [layer.digest for layer in reader.layers] == list(image.layers)
    assert reader.config["os"] == "linux"


async def test_a_layer_is_what_its_bytes_say_whatever_its_media_type() -> None:
    image = build_image([{"a": X}], compression="zstd", flavour="docker")
    relabelled = image.manifest.replace(b"diff.tar.zstd", b"diff.tar.gzip")
    changed = BuiltImage(image.media_type, relabelled, image.blobs)
    assert await files(changed) == {"a": X}


async def test_gzip_of_several_members_is_one_layer() -> None:
    tar = build_tar({"a": X * 5000})
    blob = gzip.compress(tar[:700]) + gzip.compress(b"") + gzip.compress(tar[700:])
    image = build_image([tar])
    manifest = image.manifest.replace(image.layers[0].encode(), digest_of(blob).encode())
    size = len(image.blobs[image.layers[0]])
    manifest = manifest.replace(b'"size":%d' % size, b'"size":%d' % len(blob))
    assert await files(BuiltImage(image.media_type, manifest, {**image.blobs, digest_of(blob): blob})) == {
        "a": X * 5000
    }


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
async def test_long_names_of_both_kinds_are_read(tar_format: int) -> None:
    long = "/".join(["d" * 60] * 5)
    entries: dict[str, Entry] = {f"{long}/f": X, f"{long}/l": Symlink(f"/{long}/f")}
    tar = build_tar(entries, tar_format=tar_format)
    assert await files(build_image([tar]), {f"{long}/l"}.__contains__) == {f"{long}/l": X}


NOISE = os.urandom(100_000)


@pytest.mark.parametrize(
    ("limit", "value", "layers"),
    [
        pytest.param("max_layer_compressed_bytes", 50_000, [{"a": NOISE}], id="layer compressed"),
        pytest.param("max_total_compressed_bytes", 150_000, [{"a": NOISE}, {"b": NOISE}], id="total compressed"),
        pytest.param("max_layer_uncompressed_bytes", 50_000, [{"a": NOISE}], id="layer uncompressed"),
        pytest.param("max_total_uncompressed_bytes", 150_000, [{"a": NOISE}, {"b": NOISE}], id="total uncompressed"),
        pytest.param("max_entries", 3, [{str(number): b"" for number in range(4)}], id="entries"),
        pytest.param("max_path_chars", 50, [{"n" * 51: b""}], id="path length"),
        pytest.param("max_path_chars", 50, [{"n": Symlink("t" * 51)}], id="target length"),
        pytest.param("max_path_depth", 5, [{"a/b/c/d/e/f": b""}], id="path depth"),
        pytest.param("max_file_bytes", 99_999, [{"a": NOISE}], id="one file"),
        pytest.param("max_wanted_bytes", 150_000, [{"a": NOISE}, {"b": NOISE}], id="all files"),
        pytest.param("max_alias_paths", 50, [{f"d/{n}": b"" for n in range(60)} | {"l": Symlink("d")}], id="aliases"),
        pytest.param("max_seconds", 0.0, [{"a": NOISE}], id="time"),
    ],
)
async def test_each_limit_ends_the_reading_and_is_named(
    limit: str, value: float, layers: list[dict[str, Entry]]
) -> None:
    with pytest.raises(ImageTooLargeError, match=rf"{limit} = {value}"):
        await files(build_image(layers), limits=ReadLimits(**{limit: value}))  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_a_bomb_is_stopped_by_its_ratio(compression: Compression) -> None:
    layer = build_tar({"bomb": bytes(80 << 20)})
    limits = ReadLimits(max_ratio=100, ratio_free_bytes=1 << 20)
    image = build_image([layer], compression=compression)
    with pytest.raises(ImageTooLargeError, match=rf"layer {image.layers[0]}.*max_ratio = 100"):
        await files(image, lambda path: False, limits)


@pytest.mark.parametrize("change", ["flip", "cut", "longer", "other"])
async def test_a_blob_that_is_not_its_digest_is_corrupt(change: str) -> None:
    image = build_image([{"a": NOISE}], compression="plain")
    reader, source = await opened(image)
    blob = source.blobs[image.layers[0]]
    lies = {"flip": blob[:5000] + b"!" + blob[5001:], "cut": blob[:-1], "longer": blob + b"\0", "other": b""}
    source.blobs[image.layers[0]] = lies[change]
    with pytest.raises(ImageCorruptError, match=image.layers[0]):
        [file async for file in reader.files(lambda path: False)]


async def test_a_layer_that_unpacks_to_something_else_is_corrupt() -> None:
    image = build_image([{"a": X}], config={"rootfs": {"type": "layers", "diff_ids": [f"sha256:{'0' * 64}"]}})
    with pytest.raises(ImageCorruptError, match="unpacks to other bytes"):
        await files(image)


@pytest.mark.parametrize("diff_ids", [[], ["sha256:x"], "x", [f"sha256:{'0' * 64}"] * 2], ids=str)
async def test_a_config_that_does_not_describe_the_layers_is_corrupt(diff_ids: object) -> None:
    with pytest.raises(ImageCorruptError, match=r"diff_ids|its config"):
        await opened(build_image([{"a": X}], config={"rootfs": {"diff_ids": diff_ids}}))


@pytest.mark.parametrize(
    ("media_type", "error"),
    [
        pytest.param(b"vnd.docker.image.rootfs.foreign.diff.tar.gzip", RegistryRefusedError, id="foreign"),
        pytest.param(b"vnd.oci.image.layer.nondistributable.v1.tar+gzip", RegistryRefusedError, id="nondistributable"),
        pytest.param(b"vnd.oci.image.layer.v1.tar+gzip+encrypted", ImageCorruptError, id="encrypted"),
        pytest.param(b"vnd.cncf.helm.chart.content.v1.tar+gzip", ImageCorruptError, id="chart"),
    ],
)
async def test_layers_that_cannot_be_read_are_refused(media_type: bytes, error: type[Exception]) -> None:
    image = build_image([{"a": X}])
    manifest = image.manifest.replace(b"vnd.oci.image.layer.v1.tar+gzip", media_type)
    with pytest.raises(error, match="layer sha256"):
        await opened(BuiltImage(image.media_type, manifest, image.blobs))


def header(**changes: object) -> bytes:
    info = tarfile.TarInfo("f")
    for key, value in changes.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("tar", "says"),
    [
        pytest.param(header(size=1000) + b"x" * 10, "cut off", id="cut in a file"),
        pytest.param(header()[:100], "cut off", id="cut in a header"),
        pytest.param(header()[:-1] + b"!", "checksum", id="checksum"),
        pytest.param(header(type=b"x", size=1 << 40), "extended header", id="huge extended header"),
        pytest.param(header(type=b"L", size=1 << 40), "extended header", id="huge long name"),
        pytest.param(header(type=b"x", size=9) + b"99 path=a".ljust(512, b"\0"), "extended header", id="PAX length"),
        pytest.param(header(type=b"L", size=1) + bytes(512), "within the headers", id="long name of nothing"),
        pytest.param(bytes(512) + header(), "zero block", id="after a zero block"),
        pytest.param(header(type=b"1", linkname="/"), None, id="hard link to the root"),
        pytest.param(header(type=b"S") + bytes(1024), "sparse", id="sparse"),
        pytest.param(b"<html>" * 200, "checksum", id="a web page"),
    ],
)
async def test_a_broken_archive_is_corrupt(tar: bytes, says: str | None) -> None:
    with pytest.raises(ImageCorruptError, match=says):
        await files(build_image([tar]))


async def test_a_chain_of_headers_neither_recurses_nor_ends_in_memory() -> None:
    tar = (header(type=b"L", size=3) + b"abc".ljust(512, b"\0")) * 3000 + header() + bytes(1024)
    assert await files(build_image([tar])) == {"abc": b""}


async def test_memory_stays_flat_on_a_large_layer() -> None:
    noise = os.urandom(1 << 20)
    large = build_tar((f"f{number}", noise) for number in range(200))
    image = build_image([large], compression="zstd")
    reader, _ = await opened(image)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    found = [file async for file in reader.files({"f150"}.__contains__)]
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert [file.path for file in found] == ["f150"]
    assert peak < 16 << 20


def reading_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("scanguard-layers")]


class EndlessSource(MemorySource):
    """Hangs in the middle of a layer, or breaks there."""

    error: Exception | None = None
    is_closed = False
    is_hanging: asyncio.Event

    async def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        yield self.blobs[descriptor.digest][:2000]
        try:
            if self.error:
                raise self.error
            self.is_hanging.set()
            await asyncio.sleep(3600)
        finally:
            self.is_closed = True


async def hanging(limits: ReadLimits | None = None) -> tuple[LayerReader, EndlessSource]:
    image = build_image([{"a": NOISE}], compression="plain")
    plain = MemorySource.of({"t": image})
    manifest = (await resolve_platform(plain, "t", None)).manifest
    source = EndlessSource(plain.manifests, plain.blobs)
    source.is_hanging = asyncio.Event()
    return LayerReader(source, manifest, (await LayerReader.open(plain, manifest)).config, limits), source


async def drained(reader: LayerReader) -> None:
    async for _ in reader.files(lambda path: True):
        pass


async def test_cancelling_ends_the_thread_and_the_source() -> None:
    reader, source = await hanging()
    task = asyncio.create_task(drained(reader))
    await source.is_hanging.wait()
    assert len(reading_threads()) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 1)
    assert (reading_threads(), source.is_closed) == ([], True)


async def test_a_source_that_hangs_is_left_when_the_time_is_over() -> None:
    reader, source = await hanging(ReadLimits(max_seconds=0.1))
    with pytest.raises(ImageTooLargeError, match="max_seconds"):
        await asyncio.wait_for(drained(reader), 5)
    assert (reading_threads(), source.is_closed) == ([], True)


async def test_the_error_of_a_source_comes_out_as_it_is() -> None:
    reader, source = await hanging()
    source.error = RegistryUnavailableError("gone")
    with pytest.raises(RegistryUnavailableError, match="gone"):
        await drained(reader)
    assert reading_threads() == []


async def test_leaving_early_ends_the_thread() -> None:
    reader, _ = await opened(build_image([{"a": X}, {"b": X}]))
    async with aclosing(reader.files(lambda path: True)) as found:  # type: ignore[type-var]  # an async generator
        async for _ in found:
            break
    assert reading_threads() == []


def test_the_same_layers_give_the_same_image() -> None:
    assert build_image([{"a": X}]).digest == build_image([{"a": X}]).digest
    assert compress(X, "zstd") == compress(X, "zstd")
