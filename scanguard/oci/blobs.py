"""What a source of images gives: manifests and blobs by digest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import Field

from scanguard.model.base import Digest, Model

MANIFEST_MEDIA_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEX_MEDIA_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


class Descriptor(Model):
    """A pointer to content, as in the OCI image specification (only what is used)."""

    media_type: str
    digest: Digest
    size: int = Field(ge=0)


@dataclass(frozen=True, slots=True)
class RawManifest:
    """The bytes of a manifest or index, verified against ``digest``."""

    digest: str
    media_type: str
    data: bytes


class BlobSource(Protocol):
    """A registry repository, a folder or an archive."""

    async def manifest(self, reference: str) -> RawManifest:
        """The manifest or index a tag or digest names; verified, size-capped. Raises RegistryError."""

    def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """Stream a blob's bytes as stored (still compressed). The *reader* verifies digest and size."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file of an image's final file system.

    ``path`` has no leading slash and no dots; ``layer`` is the digest of the layer the bytes came from.
    """

    path: str
    data: bytes
    layer: str


class ImageReader(Protocol):
    """An open image."""

    @property
    def config(self) -> Mapping[str, object]:
        """The image config (JSON object), verified against its digest."""

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers, lowest first, as the manifest lists them."""

    def files(
        self, wanted: Callable[[str], bool], *, on_path: Callable[[str], None] | None = None
    ) -> AsyncIterator[ImageFile]:
        """Stream the regular files of the final view that ``wanted`` asks for.

        Args:
            wanted: Asked with a path of the final view (no leading slash), symbolic links in it followed: with
                ``lib -> usr/lib`` both ``usr/lib/a`` and ``lib/a`` are asked for. A file comes once under each
                of its wanted *file names*, by its real path where that is wanted. Pure: asked in a thread, in any
                order, more than once.
            on_path: Told, in a thread, the real path of each regular file of the final view once, hard links
                each; all of them before the last file comes.

        Raises:
            RegistryError: What the source raises; ImageCorruptError and ImageTooLargeError for what it holds.
                Files that came before are of layers that were verified.
        """
