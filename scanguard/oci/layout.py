"""An OCI image layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md)."""

from __future__ import annotations

from scanguard.errors import ImageCorruptError, ImageNotFoundError
from scanguard.oci.blobs import INDEX_MEDIA_TYPES, RawManifest
from scanguard.oci.content import MAX_MANIFEST_BYTES, digest_of
from scanguard.oci.local_files import Files, Span
from scanguard.oci.manifests import IndexEntry, Manifest, parse_document


class OciLayout:
    """The images of a layout, in a folder or an archive. Blocking."""

    def __init__(self, files: Files, where: str) -> None:
        self._files = files
        self._where = where

    def manifest(self, reference: str) -> RawManifest:
        """By digest, by tag, or (empty) the only image, or the whole index where its entries have no names.

        Raises:
            ImageNotFoundError: Nothing of this name, or several images and no name; the text lists the names.
            RegistryError: The layout breaks its format.
        """
        index = self._index()
        if ":" in reference:
            return index if reference == index.digest else self._read(reference, self._media_type(index, reference))
        entries = [entry for entry in self._entries(index) if not entry.is_attestation]
        chosen = [entry for entry in entries if not reference or entry.name == reference]
        digests = {entry.descriptor.digest: entry for entry in chosen}
        if len(digests) == 1:
            (entry,) = digests.values()
            return self._read(entry.descriptor.digest, entry.descriptor.media_type)
        if chosen and not reference and len({entry.name for entry in chosen}) == 1:
            return index
        names = ", ".join(sorted({entry.name[:100] for entry in entries if entry.name})[:20])
        problem = f"has no image {reference!r}" if reference else "does not say which image is meant"
        raise ImageNotFoundError(
            f"{self._where} {problem}; write its tag after a colon: {names or '(it has none)'}", target=self._where
        )

    def blob(self, digest: str) -> Span:
        """Where a blob lies; ImageNotFoundError where it is missing."""
        span = self._files.find(f"blobs/{digest.replace(':', '/')}")
        if span is None:
            raise ImageNotFoundError(f"{self._where} has no blob {digest}: copy the image again", target=self._where)
        return span

    def _index(self) -> RawManifest:
        span = self._files.find("index.json")
        if span is None:
            raise ImageNotFoundError(f"{self._where} is no OCI image layout: it has no index.json", target=self._where)
        data = span.read(MAX_MANIFEST_BYTES)
        return RawManifest(digest_of(data), INDEX_MEDIA_TYPES[0], data)

    def _entries(self, index: RawManifest) -> tuple[IndexEntry, ...]:
        document = parse_document(index)
        return () if isinstance(document, Manifest) else document

    def _media_type(self, index: RawManifest, digest: str) -> str:
        found = [entry.descriptor for entry in self._entries(index) if entry.descriptor.digest == digest]
        return found[0].media_type if found else ""

    def _read(self, digest: str, media_type: str) -> RawManifest:
        data = self.blob(digest).read(MAX_MANIFEST_BYTES)
        if digest_of(data, digest) != digest:
            raise ImageCorruptError(
                f"{self._where}: the manifest {digest} holds other bytes than its digest says", target=self._where
            )
        return RawManifest(digest, media_type, data)
