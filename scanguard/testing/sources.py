"""A source of images in memory, which can be made to lie."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from scanguard.errors import ImageNotFoundError
from scanguard.oci.blobs import Descriptor, RawManifest
from scanguard.testing.images import BuiltImage


@dataclass(slots=True)
class MemorySource:
    """A :class:`~scanguard.oci.blobs.BlobSource` over what it is given.

    Attributes:
        manifests: By tag or digest.
        blobs: Bytes by digest; what is stored is given out, whether it has that digest or not.
        chunk_bytes: Size of the chunks of a blob.
        opened: Digests of blobs asked for, in order.
    """

    manifests: dict[str, RawManifest] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    chunk_bytes: int = 1 << 16
    opened: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, tags: Mapping[str, BuiltImage]) -> Self:
        """A source with images by tag, and by digest."""
        source = cls()
        for tag, image in tags.items():
            source.manifests[tag] = RawManifest(image.digest, image.media_type, image.manifest)
            source.manifests[image.digest] = source.manifests[tag]
            for digest, (media_type, data) in image.children.items():
                source.manifests[digest] = RawManifest(digest, media_type, data)
            source.blobs.update(image.blobs)
        return source

    async def manifest(self, reference: str) -> RawManifest:
        """As stored; ImageNotFoundError where nothing is."""
        if reference not in self.manifests:
            raise ImageNotFoundError(f"there is no {reference}", target=reference)
        return self.manifests[reference]

    async def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """As stored, in chunks; ImageNotFoundError where nothing is."""
        self.opened.append(descriptor.digest)
        if descriptor.digest not in self.blobs:
            raise ImageNotFoundError(f"there is no {descriptor.digest}", target=descriptor.digest)
        data = self.blobs[descriptor.digest]
        for start in range(0, len(data), self.chunk_bytes):
            yield data[start : start + self.chunk_bytes]
