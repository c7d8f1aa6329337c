"""Images for tests, made of nothing but Python: any layers, any compression, the same digests every time."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from scanguard.model.image import Platform
from scanguard.testing.tars import (
    Compression,
    Directory,
    Entry,
    LayerContent,
    Link,
    Special,
    Symlink,
    build_tar,
    compress,
)

__all__ = [
    "BuiltImage",
    "Compression",
    "Directory",
    "Entry",
    "LayerContent",
    "Link",
    "Special",
    "Symlink",
    "build_image",
    "build_index",
    "write_oci_archive",
    "write_oci_folder",
]

Flavour: TypeAlias = Literal["oci", "docker"]

_OCI: Final = "application/vnd.oci.image"
_DOCKER: Final = "application/vnd.docker"
_SUFFIXES: Final = {"gzip": "+gzip", "zstd": "+zstd", "plain": ""}


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """An image, or an index of images, ready to be pushed or written.

    Attributes:
        media_type: Of the manifest or index.
        manifest: Its bytes.
        blobs: Config and layers, of all images, by digest.
        children: The manifests and indexes an index lists: (media type, bytes) by digest.
        diffs: The uncompressed layers, lowest first (of an image).
        config: The image config (of an image).
    """

    media_type: str
    manifest: bytes
    blobs: Mapping[str, bytes]
    children: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)
    diffs: tuple[bytes, ...] = ()
    config: bytes = b""
    platform: Platform = field(default_factory=Platform)

    @property
    def digest(self) -> str:
        """Digest of the manifest or index."""
        return _digest(self.manifest)

    @property
    def layers(self) -> tuple[str, ...]:
        """Digests of the layers as stored, lowest first."""
        return tuple(layer["digest"] for layer in json.loads(self.manifest).get("layers", ()))

    def descriptor(self, **more: object) -> dict[str, object]:
        """What an index says of it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.manifest), **more}

    def write_docker_archive(self, path: Path, *names: str, classic: bool = True) -> Path:
        """Write what ``docker save`` writes: ``manifest.json``, the config, and uncompressed layers.

        ``classic``: the names of Docker up to 24 (``<id>/layer.tar``), else those since (``blobs/sha256/…``).
        """
        config_hex = _digest(self.config).partition(":")[2]
        config = f"{config_hex}.json" if classic else f"blobs/sha256/{config_hex}"
        files = {config: self.config}
        paths: list[str] = []
        for number, diff in enumerate(self.diffs):
            name = f"{number:064x}/layer.tar" if classic else f"blobs/sha256/{_digest(diff).partition(':')[2]}"
            files[name] = diff
            paths.append(name)
        listed = [{"Config": config, "RepoTags": list(names) or None, "Layers": paths}]
        path.write_bytes(build_tar({**files, "manifest.json": _json(listed)}, tar_format=tarfile.USTAR_FORMAT))
        return path


def build_image(
    layers: Sequence[LayerContent | bytes],
    *,
    flavour: Flavour = "oci",
    compression: Compression = "gzip",
    platform: Platform | None = None,
    config: Mapping[str, object] | None = None,
) -> BuiltImage:
    """Build an image.

    Args:
        layers: Lowest first; each its entries, or the bytes of a tar archive.
        flavour: Media types of OCI or of Docker's schema 2.
        compression: Of every layer.
        platform: Written into the config; linux/amd64 by default.
        config: More keys of the image config (``config``, ``history`` …).
    """
    where = platform or Platform()
    diffs = tuple(layer if isinstance(layer, bytes) else build_tar(layer) for layer in layers)
    stored = [compress(diff, compression) for diff in diffs]
    document = {"os": where.os, "architecture": where.architecture, "rootfs": _rootfs(diffs), **(config or {})}
    if where.variant:
        document["variant"] = where.variant
    config_bytes = _json(document)
    config_type, layer_type, manifest_type = _media_types(flavour, compression)
    manifest = {
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": _descriptor(config_type, config_bytes),
        "layers": [_descriptor(layer_type, blob) for blob in stored],
    }
    blobs = {_digest(blob): blob for blob in (config_bytes, *stored)}
    return BuiltImage(manifest_type, _json(manifest), blobs, {}, diffs, config_bytes, where)


def build_index(
    images: Sequence[BuiltImage], *, flavour: Flavour = "oci", entries: Sequence[Mapping[str, object]] = ()
) -> BuiltImage:
    """An index of images (and indexes); ``entries`` are added as they are, after them."""
    listed: list[Mapping[str, object]] = []
    blobs: dict[str, bytes] = {}
    children: dict[str, tuple[str, bytes]] = {}
    for image in images:
        platform = {"platform": _platform(image.platform)} if image.config else {}
        listed.append(image.descriptor(**platform))
        blobs.update(image.blobs)
        children.update({image.digest: (image.media_type, image.manifest), **image.children})
    media_type = f"{_OCI}.index.v1+json" if flavour == "oci" else f"{_DOCKER}.distribution.manifest.list.v2+json"
    document = {"schemaVersion": 2, "mediaType": media_type, "manifests": [*listed, *entries]}
    return BuiltImage(media_type, _json(document), blobs, children)


def write_oci_folder(folder: Path, tags: Mapping[str, BuiltImage]) -> Path:
    """Write an OCI image layout; an empty tag writes an entry without a name."""
    for name, data in _layout(tags).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_oci_archive(path: Path, tags: Mapping[str, BuiltImage]) -> Path:
    """Write an OCI image layout as a tar archive."""
    path.write_bytes(build_tar(_layout(tags)))
    return path


def _layout(tags: Mapping[str, BuiltImage]) -> dict[str, bytes]:
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    entries: list[dict[str, object]] = []
    for tag, image in tags.items():
        notes = {"annotations": {"org.opencontainers.image.ref.name": tag}} if tag else {}
        entries.append(image.descriptor(**notes))
        content = {image.digest: image.manifest, **image.blobs}
        content.update({digest: data for digest, (_, data) in image.children.items()})
        files.update({f"blobs/{digest.replace(':', '/')}": data for digest, data in content.items()})
    files["index.json"] = _json({"schemaVersion": 2, "manifests": entries})
    return files


def _media_types(flavour: Flavour, compression: Compression) -> tuple[str, str, str]:
    if flavour == "oci":
        return (
            f"{_OCI}.config.v1+json",
            f"{_OCI}.layer.v1.tar{_SUFFIXES[compression]}",
            f"{_OCI}.manifest.v1+json",
        )
    suffix = {"gzip": ".gzip", "zstd": ".zstd", "plain": ""}[compression]
    return (
        f"{_DOCKER}.container.image.v1+json",
        f"{_DOCKER}.image.rootfs.diff.tar{suffix}",
        f"{_DOCKER}.distribution.manifest.v2+json",
    )


def _rootfs(diffs: Sequence[bytes]) -> dict[str, object]:
    return {"type": "layers", "diff_ids": [_digest(diff) for diff in diffs]}


def _platform(platform: Platform) -> dict[str, str]:
    names = {"os": platform.os, "architecture": platform.architecture, "variant": platform.variant}
    return {key: value for key, value in {**names, "os.version": platform.os_version}.items() if value}


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(data), "size": len(data)}


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
