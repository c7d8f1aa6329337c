"""What a source of images gives: manifests and blobs by digest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
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

    def files(self, wanted: object, on_path: object = None) -> AsyncIterator[ImageFile]:
        """Stream the files of the final view that ``wanted`` asks for."""
