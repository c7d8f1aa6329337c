"""What ``docker save`` writes: https://github.com/moby/docker-image-spec, ``v1.2``, "Combined Image JSON".

Such an archive has no manifest, so one is made: schema 2, with the config as it is, and each layer as it lies
there. It depends on nothing but their bytes, so an archive always gives the same digest, which is *not* the digest
of the image in any registry (there its layers are compressed). A plain layer's digest is taken from the config
and verified when it is read; a compressed one is hashed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final, TypeGuard

from scanguard.errors import ImageCorruptError, ImageNotFoundError, ImageTooLargeError
from scanguard.oci.blobs import MANIFEST_MEDIA_TYPES, RawManifest
from scanguard.oci.content import MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, digest_of, json_object, json_value
from scanguard.oci.local_files import CHUNK_BYTES, Files, Span
from scanguard.oci.manifests import MAX_LAYERS
from scanguard.oci.rootfs import stated_diff_ids

MAX_IMAGES: Final = 200
_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"


class DockerArchive:
    """The images of an archive. Blocking."""

    def __init__(self, files: Files, where: str) -> None:
        self._files = files
        self._where = where
        self._blobs: dict[str, Span] = {}
        self._made: list[tuple[tuple[str, ...], RawManifest]] | None = None

    def manifest(self, reference: str) -> RawManifest:
        """By the digest of a manifest made here, by name (``repository:tag``), or (empty) the only image.

        Raises:
            ImageNotFoundError: Nothing of this name, or several images and no name; the text lists the names.
            RegistryError: The archive breaks its format.
        """
        made = self._manifests()
        chosen = {
            raw.digest: raw
            for names, raw in made
            if not reference or reference == raw.digest or reference in names or f"{reference}:latest" in names
        }
        if len(chosen) == 1:
            return next(iter(chosen.values()))
        names = ", ".join(sorted({name[:100] for names, _ in made for name in names})[:20])
        problem = f"has no image {reference!r}" if reference else "does not say which image is meant"
        raise ImageNotFoundError(
            f"{self._where} {problem}; write its name after a colon: {names or '(it has none)'}", target=self._where
        )

    def blob(self, digest: str) -> Span:
        """Where a config or layer lies."""
        self._manifests()
        if digest not in self._blobs:
            raise ImageNotFoundError(f"{self._where} has no blob {digest}", target=self._where)
        return self._blobs[digest]

    def _manifests(self) -> list[tuple[tuple[str, ...], RawManifest]]:
        if self._made is None:
            data = self._find("manifest.json").read(MAX_MANIFEST_BYTES)
            images = json_value(data, f"{self._where}: manifest.json")
            if not isinstance(images, list):
                raise self._broken()
            if len(images) > MAX_IMAGES:
                raise ImageTooLargeError(f"{self._where} has more than {MAX_IMAGES} images", target=self._where)
            self._made = [self._make(image) for image in images]
        return self._made

    def _make(self, image: object) -> tuple[tuple[str, ...], RawManifest]:
        if not isinstance(image, dict):
            raise self._broken()
        config_name, paths, names = image.get("Config"), image.get("Layers"), image.get("RepoTags") or []
        if not isinstance(config_name, str) or not _are_texts(paths) or not _are_texts(names):
            raise self._broken()
        if len(paths) > MAX_LAYERS:
            raise ImageTooLargeError(f"{self._where}: an image has {len(paths)} layers", target=self._where)
        span = self._find(config_name)
        config = span.read(MAX_CONFIG_BYTES)
        digests = stated_diff_ids(json_object(config, f"{self._where}: {config_name[:100]}"), self._where)
        if len(digests) != len(paths):
            raise self._broken()
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_MEDIA_TYPES[1],
            "config": self._keep(_CONFIG, digest_of(config), span),
            "layers": [self._layer(path, diff_id) for path, diff_id in zip(paths, digests, strict=True)],
        }
        data = json.dumps(document, separators=(",", ":")).encode()
        return tuple(names), RawManifest(digest_of(data), MANIFEST_MEDIA_TYPES[1], data)

    def _layer(self, path: str, diff_id: str) -> Mapping[str, object]:
        span = self._find(path)
        with span.open() as file:
            head = file.read(min(4, span.size))
            if not head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
                return self._keep(_LAYER, diff_id, span)
            digest, left = hashlib.sha256(head), span.size - len(head)
            while left and (chunk := file.read(min(CHUNK_BYTES, left))):
                digest.update(chunk)
                left -= len(chunk)
        suffix = ".gzip" if head.startswith(b"\x1f\x8b") else ".zstd"
        return self._keep(f"{_LAYER}{suffix}", f"sha256:{digest.hexdigest()}", span)

    def _keep(self, media_type: str, digest: str, span: Span) -> Mapping[str, object]:
        self._blobs[digest] = span
        return {"mediaType": media_type, "size": span.size, "digest": digest}

    def _find(self, name: str) -> Span:
        span = self._files.find(name)
        if span is None:
            raise ImageCorruptError(
                f"{self._where} is no archive of 'docker save': it has no {name[:100]!r}", target=self._where
            )
        return span

    def _broken(self) -> ImageCorruptError:
        return ImageCorruptError(
            f"{self._where}: manifest.json does not describe images as 'docker save' does", target=self._where
        )


def _are_texts(values: object) -> TypeGuard[list[str]]:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
