"""Writes OCI image archives whose bytes depend on their content alone."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or symbolic link of a layer; ``path`` has no leading slash."""

    path: str
    data: bytes = b""
    mode: int = 0o644
    link: str | None = None
    is_dir: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest with the blobs it needs, by digest."""

    manifest: bytes
    blobs: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """The image's digest: that of its manifest."""
        return digest_of(self.manifest)


def digest_of(data: bytes) -> str:
    """``sha256:`` and the hash."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer_tar(entries: Sequence[Entry], *, mtime: int) -> bytes:
    """An uncompressed layer: entries by path, owner root, one modification time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in sorted(entries, key=lambda entry: entry.path):
            tar.addfile(_tar_info(entry, mtime), io.BytesIO(entry.data))
    return buffer.getvalue()


def build_image(layers: Sequence[bytes], *, created: str, config: Mapping[str, object], level: int = 9) -> Image:
    """Put uncompressed layers into an image for linux/amd64; ``level`` is gzip's."""
    packed = [gzip.compress(layer, compresslevel=level, mtime=0) for layer in layers]
    settings = {
        "architecture": "amd64",
        "config": config,
        "created": created,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
    }
    config_blob = _json(settings)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(CONFIG, config_blob),
        "layers": [_descriptor(LAYER, layer) for layer in packed],
    }
    return Image(_json(manifest), {digest_of(blob): blob for blob in (config_blob, *packed)})


def archive(image: Image, *, name: str, mtime: int) -> bytes:
    """The image as an OCI layout in a tar file, tagged ``name``."""
    pointer = {
        **_descriptor(MANIFEST, image.manifest),
        "annotations": {"org.opencontainers.image.ref.name": name},
        "platform": {"architecture": "amd64", "os": "linux"},
    }
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [pointer]}
    blobs = {**image.blobs, image.digest: image.manifest}
    files = [Entry(f"blobs/{digest.replace(':', '/')}", data) for digest, data in blobs.items()]
    files += [Entry("index.json", _json(index)), Entry("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))]
    return layer_tar(files, mtime=mtime)


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _tar_info(entry: Entry, mtime: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(entry.path)
    info.mode = entry.mode
    info.mtime = mtime
    info.uname = info.gname = "root"
    if entry.is_dir:
        info.type = tarfile.DIRTYPE
    elif entry.link is not None:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
    else:
        info.size = len(entry.data)
    return info
