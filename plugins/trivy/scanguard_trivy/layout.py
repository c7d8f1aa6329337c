"""An image of this machine as Trivy can read it, whatever it comes from.

Trivy opens OCI folders and ``docker save`` archives, but no OCI archive; it takes the first image of an index, whatever
its platform, and cuts paths at colons. So the one image meant is copied, verified, into an OCI layout of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

from scanguard.errors import ImageCorruptError, ScannerUnavailableError
from scanguard.model.image import ResolvedImage
from scanguard.oci.blobs import BlobSource, Descriptor, RawManifest
from scanguard.oci.content import closing
from scanguard.oci.local import open_local
from scanguard.oci.manifests import Manifest, parse_document


async def write_layout(image: ResolvedImage, folder: Path) -> Path:
    """Copy a local image into an OCI layout in ``folder`` (it is made), with nothing else in it.

    Raises:
        RegistryError: The image is not there, or not what its digests say.
        ScannerUnavailableError: The disk is full.
    """
    source = open_local(image.source)
    raw = await source.manifest(image.digest)
    manifest = parse_document(raw)
    if not isinstance(manifest, Manifest):
        raise ImageCorruptError(f"{image.source}: {image.digest} is an index, not an image", target=image.source)
    try:
        await asyncio.to_thread(_write_index, folder, raw, manifest.media_type)
        for descriptor in {one.digest: one for one in (manifest.config, *manifest.layers)}.values():
            await _copy(source, descriptor, folder, image.source)
    except OSError as exc:
        raise ScannerUnavailableError(
            f"{image.source} cannot be copied to {folder} ({exc.strerror}); set work_dir to a larger disk",
            plugin="trivy",
            target=image.source,
        ) from exc
    return folder


def _write_index(folder: Path, raw: RawManifest, media_type: str) -> None:
    entry = {"mediaType": media_type, "digest": raw.digest, "size": len(raw.data)}
    folder.mkdir()
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}', encoding="utf-8")
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}), encoding="utf-8")
    path = _path(folder, raw.digest)
    path.write_bytes(raw.data)


def _path(folder: Path, digest: str) -> Path:
    algorithm, _, value = digest.partition(":")
    path = folder / "blobs" / algorithm / value
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


async def _copy(source: BlobSource, descriptor: Descriptor, folder: Path, where: str) -> None:
    algorithm = descriptor.digest.partition(":")[0]
    told, size = hashlib.new(algorithm), 0
    file = await asyncio.to_thread(_path(folder, descriptor.digest).open, "wb")
    try:
        async with closing(source.blob(descriptor)) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > descriptor.size:
                    break
                await asyncio.to_thread(told.update, chunk)
                await asyncio.to_thread(file.write, chunk)
    finally:
        await asyncio.to_thread(file.close)
    if size != descriptor.size or f"{algorithm}:{told.hexdigest()}" != descriptor.digest:
        raise ImageCorruptError(
            f"{where}: the blob {descriptor.digest} holds other bytes than its digest says; copy the image again",
            target=where,
        )
