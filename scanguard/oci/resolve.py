"""From a tag or digest to the manifest of one platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scanguard.errors import ImageCorruptError, ImageTooLargeError, PlatformMismatchError
from scanguard.model.image import Platform
from scanguard.oci.blobs import BlobSource, Descriptor, RawManifest
from scanguard.oci.content import digest_of, read_config
from scanguard.oci.manifests import IndexEntry, Manifest, parse_document
from scanguard.oci.platforms import DEFAULT_PLATFORM, platform_from, preference

MAX_INDEX_DEPTH: Final = 3
MAX_OPENED: Final = 32
"""Manifests and indexes that are opened to find one platform."""
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a reference means for one platform.

    ``index_digest`` is the digest of the index the reference names, None where it names a manifest itself.
    """

    index_digest: str | None
    raw: RawManifest
    manifest: Manifest
    platform: Platform


@dataclass(frozen=True, slots=True)
class _Build:
    """One image that an index offers; already opened where the index does not say its platform."""

    descriptor: Descriptor
    platform: Platform
    opened: tuple[RawManifest, Manifest] | None = None


async def resolve_platform(
    source: BlobSource, reference: str, platform: Platform | None, *, default: Platform = DEFAULT_PLATFORM
) -> Resolved:
    """Resolve a tag or digest to the manifest that runs on a platform.

    Args:
        source: Where the image is.
        reference: A tag or digest, as the source knows it.
        platform: What runs the image. None: ``default`` of an index; a bare manifest's own, whatever it is.
        default: The platform of an index when nobody says.

    Raises:
        PlatformMismatchError: The image is not for this platform; the text lists those it is for.
        ImageCorruptError: A document is none, or not what its descriptor says, or names no platform.
        ImageTooLargeError: Indexes nested deeper than 3, or too much to open.
        RegistryError: What the source raises.
    """
    raw = await source.manifest(reference)
    document = parse_document(raw)
    if isinstance(document, Manifest):
        own = await _own_platform(source, document)
        if own is None:
            raise ImageCorruptError(
                f"{reference}: the config of {raw.digest} names no architecture; it is no container image",
                target=reference,
            )
        if platform is not None and preference(platform, own) is None:
            raise _mismatch(reference, platform, [own])
        return Resolved(None, raw, document, own)
    search = _Search(source, reference)
    await search.collect(document, depth=1)
    build = _best(reference, platform or default, search.builds)
    child, manifest = build.opened or await search.open_manifest(build.descriptor)
    return Resolved(raw.digest, child, manifest, build.platform)


class _Search:
    """Collects what an index, and the indexes in it, offer."""

    def __init__(self, source: BlobSource, reference: str) -> None:
        self._source = source
        self._reference = reference
        self._opened = 0
        self.builds: list[_Build] = []

    async def collect(self, entries: tuple[IndexEntry, ...], depth: int) -> None:
        for entry in entries:
            if entry.is_attestation:
                continue
            if entry.is_index:
                await self._collect_nested(entry.descriptor, depth + 1)
            elif entry.platform is not None:
                self.builds.append(_Build(entry.descriptor, entry.platform))
            else:
                await self._collect_unnamed(entry.descriptor)

    async def _collect_nested(self, descriptor: Descriptor, depth: int) -> None:
        if depth > MAX_INDEX_DEPTH:
            raise ImageTooLargeError(
                f"{self._reference}: indexes are nested deeper than {MAX_INDEX_DEPTH}", target=self._reference
            )
        document = parse_document(await self._open(descriptor))
        if isinstance(document, Manifest):
            raise self._wrong_kind(descriptor)
        await self.collect(document, depth)

    async def _collect_unnamed(self, descriptor: Descriptor) -> None:
        """An entry without platform: its config knows, unless it is something else than an image."""
        raw, manifest = await self.open_manifest(descriptor)
        own = await _own_platform(self._source, manifest)
        if own is not None and "unknown" not in (own.os, own.architecture):
            self.builds.append(_Build(descriptor, own, (raw, manifest)))

    async def open_manifest(self, descriptor: Descriptor) -> tuple[RawManifest, Manifest]:
        raw = await self._open(descriptor)
        document = parse_document(raw)
        if not isinstance(document, Manifest):
            raise self._wrong_kind(descriptor)
        return raw, document

    async def _open(self, descriptor: Descriptor) -> RawManifest:
        self._opened += 1
        if self._opened > MAX_OPENED:
            raise ImageTooLargeError(
                f"{self._reference}: more than {MAX_OPENED} manifests to open for one platform", target=self._reference
            )
        raw = await self._source.manifest(descriptor.digest)
        if len(raw.data) != descriptor.size or digest_of(raw.data, descriptor.digest) != descriptor.digest:
            raise ImageCorruptError(
                f"{self._reference}: {descriptor.digest} is not the {descriptor.size} bytes its index announces",
                target=self._reference,
            )
        return RawManifest(descriptor.digest, raw.media_type or descriptor.media_type, raw.data)

    def _wrong_kind(self, descriptor: Descriptor) -> ImageCorruptError:
        return ImageCorruptError(
            f"{self._reference}: {descriptor.digest} is not of the kind its index announces", target=self._reference
        )


async def _own_platform(source: BlobSource, manifest: Manifest) -> Platform | None:
    return platform_from(await read_config(source, manifest.config))


def _best(reference: str, asked: Platform, builds: list[_Build]) -> _Build:
    """The best fit, the first of equals."""
    ranked = [(rank, build) for build in builds if (rank := preference(asked, build.platform)) is not None]
    if not ranked:
        raise _mismatch(reference, asked, [build.platform for build in builds])
    return min(ranked, key=lambda pair: pair[0])[1]


def _mismatch(reference: str, asked: Platform, there: list[Platform]) -> PlatformMismatchError:
    names = list(dict.fromkeys(str(platform)[:60] for platform in there))
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    return PlatformMismatchError(
        f"{reference} is not built for {asked}; it is built for: {shown or 'nothing that runs'}", target=reference
    )
