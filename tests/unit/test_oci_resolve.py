"""From a reference to the manifest of one platform."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from scanguard.errors import ImageCorruptError, ImageTooLargeError, PlatformMismatchError
from scanguard.model.image import Platform
from scanguard.oci.blobs import RawManifest
from scanguard.oci.content import digest_of
from scanguard.oci.resolve import resolve_platform
from scanguard.testing.images import BuiltImage, build_image, build_index
from scanguard.testing.sources import MemorySource

AMD = build_image([{"a": b"amd"}])
ARM64 = build_image([{"a": b"arm64"}], platform=Platform.parse("linux/arm64/v8"))
ARM6 = build_image([{"a": b"arm6"}], platform=Platform.parse("linux/arm/v6"))
ARM7 = build_image([{"a": b"arm7"}], platform=Platform.parse("linux/arm/v7"))
WINDOWS = build_image([{"a": b"win"}], platform=Platform(os="windows", os_version="10.0.20348.1"))
ATTESTATION = {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": f"sha256:{'1' * 64}",
    "size": 10,
    "platform": {"os": "linux", "architecture": "amd64"},
    "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
}
UNKNOWN = {**ATTESTATION, "annotations": {}, "platform": {"os": "unknown", "architecture": "unknown"}}


def source_of(document: object, media_type: str = "application/vnd.oci.image.index.v1+json") -> MemorySource:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return MemorySource({"t": RawManifest(digest_of(data), media_type, data)}, dict(AMD.blobs))


@pytest.mark.parametrize("flavour", ["oci", "docker"])
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(None, AMD, id="nothing asked is linux/amd64"),
        pytest.param("linux/amd64", AMD, id="amd64"),
        pytest.param("linux/aarch64", ARM64, id="alias"),
        pytest.param("linux/arm64", ARM64, id="arm64 is arm64/v8"),
        pytest.param("linux/arm64/v9", ARM64, id="newer runs older"),
        pytest.param("linux/arm", ARM7, id="arm is arm/v7"),
        pytest.param("linux/arm/v8", ARM7, id="newest of the older"),
        pytest.param("linux/arm/v6", ARM6, id="older does not run newer"),
        pytest.param("linux/arm/v5", None, id="too old for all"),
        pytest.param("linux/amd64/v3", AMD, id="amd64 generations"),
        pytest.param("linux/s390x", None, id="not there"),
        pytest.param("windows/amd64", WINDOWS, id="another system"),
    ],
)
async def test_the_platform_asked_for_is_chosen_from_an_index(
    flavour: str, asked: str | None, expected: BuiltImage | None
) -> None:
    entries = [ATTESTATION, UNKNOWN]
    index = build_index(
        [ARM6, ARM64, WINDOWS, ARM7, AMD], flavour="oci" if flavour == "oci" else "docker", entries=entries
    )
    source = MemorySource.of({"t": index})
    platform = Platform.parse(asked) if asked else None
    if expected is None:
        with pytest.raises(PlatformMismatchError, match=r"linux/arm/v6, linux/arm64/v8, windows/amd64"):
            await resolve_platform(source, "t", platform)
        return
    found = await resolve_platform(source, "t", platform)
    assert found.index_digest == index.digest
    assert found.raw.data == expected.manifest
    assert found.manifest.digest == expected.digest
    assert [layer.digest for layer in found.manifest.layers] == list(expected.layers)
    assert found.platform == expected.platform


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        pytest.param("10.0.20348.2402", True, id="another revision of the build"),
        pytest.param("10.0.17763.1", False, id="another build"),
    ],
)
async def test_windows_is_chosen_by_its_build(version: str, fits: bool) -> None:
    source = MemorySource.of({"t": build_index([WINDOWS])})
    asked = Platform(os="windows", os_version=version)
    if not fits:
        with pytest.raises(PlatformMismatchError):
            await resolve_platform(source, "t", asked)
    else:
        assert (await resolve_platform(source, "t", asked)).raw.digest == WINDOWS.digest


async def test_a_bare_manifest_has_the_platform_of_its_config() -> None:
    source = MemorySource.of({"t": ARM64})
    found = await resolve_platform(source, "t", None)
    assert (found.index_digest, found.platform) == (None, Platform.parse("linux/arm64/v8"))
    assert (await resolve_platform(source, "t", Platform.parse("linux/arm64"))).raw.digest == ARM64.digest
    with pytest.raises(PlatformMismatchError, match="not built for linux/amd64; it is built for: linux/arm64/v8"):
        await resolve_platform(source, "t", Platform())


async def test_indexes_in_indexes_are_opened_three_deep() -> None:
    deep = build_index([build_index([build_index([AMD])])])
    assert (await resolve_platform(MemorySource.of({"t": deep}), "t", None)).raw.digest == AMD.digest
    with pytest.raises(ImageTooLargeError, match="deeper than 3"):
        await resolve_platform(MemorySource.of({"t": build_index([deep])}), "t", None)


async def test_an_entry_without_platform_is_known_by_its_config() -> None:
    index = build_index([AMD], entries=[ARM64.descriptor()])
    source = MemorySource.of({"t": index, "arm": ARM64})
    assert (await resolve_platform(source, "t", Platform.parse("linux/arm64"))).raw.digest == ARM64.digest


async def test_an_index_that_makes_us_open_everything_is_left() -> None:
    others = [build_image([{"n": b"%d" % number}]) for number in range(40)]
    source = MemorySource.of({str(number): other for number, other in enumerate(others)})
    index = build_index([], entries=[other.descriptor() for other in others])
    source.manifests["t"] = RawManifest(index.digest, index.media_type, index.manifest)
    with pytest.raises(ImageTooLargeError, match="32 manifests"):
        await resolve_platform(source, "t", None)


@pytest.mark.parametrize("header", ["", "application/json", "application/vnd.oci.image.index.v1+json; charset=utf-8"])
async def test_the_document_says_its_kind_where_the_header_does_not(header: str) -> None:
    index = build_index([AMD])
    source = MemorySource.of({"t": index})
    source.manifests["t"] = RawManifest(index.digest, header, index.manifest)
    assert (await resolve_platform(source, "t", None)).index_digest == index.digest


OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
GOOD: Mapping[str, object] = json.loads(AMD.manifest)


@pytest.mark.parametrize(
    ("document", "media_type", "says"),
    [
        pytest.param({"schemaVersion": 1, "fsLayers": []}, "application/json", "schema 1", id="schema 1"),
        pytest.param(
            {"schemaVersion": 1},
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "schema 1",
            id="signed schema 1",
        ),
        pytest.param(GOOD, "", None, id="control: the good one"),
        pytest.param({"mediaType": "text/html"}, "text/html", "'text/html'", id="unknown kind"),
        pytest.param(b"{", OCI_MANIFEST, "no JSON", id="cut off"),
        pytest.param(b"[" * 100_000, OCI_MANIFEST, "no JSON", id="deep"),
        pytest.param(b"\xff", OCI_MANIFEST, "no JSON", id="no text"),
        pytest.param([1], OCI_MANIFEST, "no object", id="a list"),
        pytest.param({**GOOD, "layers": 3}, OCI_MANIFEST, "list of layers", id="layers are no list"),
        pytest.param({**GOOD, "config": None}, OCI_MANIFEST, "no descriptor", id="no config"),
        pytest.param(
            {**GOOD, "layers": [{"digest": "sha256:../../x", "size": 1}]}, OCI_MANIFEST, "good digest", id="digest"
        ),
        pytest.param(
            {**GOOD, "layers": [{"digest": f"sha256:{'0' * 64}", "size": -1}]}, OCI_MANIFEST, "good size", id="size"
        ),
        pytest.param({**GOOD, "manifests": []}, OCI_MANIFEST, "at once", id="both a manifest and an index"),
        pytest.param(GOOD, "application/vnd.oci.image.index.v1+json", "at once", id="a manifest sent as an index"),
    ],
)
async def test_what_is_no_manifest_is_refused_clearly(document: object, media_type: str, says: str | None) -> None:
    source = source_of(document, media_type)
    if says is None:
        assert (await resolve_platform(source, "t", None)).platform == Platform()
        return
    with pytest.raises(ImageCorruptError, match=says):
        await resolve_platform(source, "t", None)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b" " * ((4 << 20) + 1), id="bytes"),
        pytest.param({"manifests": [ATTESTATION] * 2001}, id="entries"),
    ],
)
async def test_a_manifest_larger_than_any_is_refused(document: object) -> None:
    with pytest.raises(ImageTooLargeError):
        await resolve_platform(source_of(document), "t", None)


async def test_a_child_that_is_not_what_the_index_announces_is_refused() -> None:
    source = MemorySource.of({"t": build_index([AMD])})
    source.manifests[AMD.digest] = RawManifest(AMD.digest, AMD.media_type, ARM64.manifest)
    with pytest.raises(ImageCorruptError, match="its index announces"):
        await resolve_platform(source, "t", None)


@pytest.mark.parametrize("lie", [b"", b"{}", b"x" * 5000], ids=["empty", "other", "longer"])
async def test_a_config_that_is_not_what_the_manifest_says_is_refused(lie: bytes) -> None:
    source = MemorySource.of({"t": AMD})
    source.blobs[digest_of(AMD.config)] = lie
    with pytest.raises(ImageCorruptError, match="the image config"):
        await resolve_platform(source, "t", None)


async def test_something_that_is_no_image_names_no_platform() -> None:
    chart = build_image([{"chart": b""}], config={"architecture": "", "name": "chart"})
    with pytest.raises(ImageCorruptError, match="no container image"):
        await resolve_platform(MemorySource.of({"t": chart}), "t", None)
