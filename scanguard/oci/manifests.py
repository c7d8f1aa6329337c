"""Manifests and indexes: hostile bytes in, typed records out.

https://github.com/opencontainers/image-spec/blob/main/manifest.md and ``image-index.md``; Docker's schema 2 has
the same shape: https://distribution.github.io/distribution/spec/manifest-v2-2/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from scanguard.errors import ImageCorruptError, ImageTooLargeError
from scanguard.model.image import Platform
from scanguard.oci.blobs import INDEX_MEDIA_TYPES, MANIFEST_MEDIA_TYPES, Descriptor, RawManifest
from scanguard.oci.content import MAX_MANIFEST_BYTES, json_object
from scanguard.oci.platforms import platform_from

MAX_LAYERS: Final = 1000
MAX_INDEX_ENTRIES: Final = 2000
_REFERENCE_TYPE: Final = "vnd.docker.reference.type"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One platform's image: its config, and its layers, lowest first."""

    digest: str
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What an index lists: a manifest or a further index; ``platform`` is None where the index says none."""

    descriptor: Descriptor
    platform: Platform | None
    is_attestation: bool
    name: str = ""
    """``org.opencontainers.image.ref.name``: its tag in an image layout."""

    @property
    def is_index(self) -> bool:
        """Whether it has to be opened to see what it offers."""
        return self.descriptor.media_type in INDEX_MEDIA_TYPES


def parse_document(raw: RawManifest) -> Manifest | tuple[IndexEntry, ...]:
    """A manifest, or the entries of an index.

    Raises:
        ImageTooLargeError: More than 4 MiB, or more layers or entries than any image has.
        ImageCorruptError: Anything but a manifest or an index, among it Docker's schema 1, and a document that could
            be read as both (CVE-2021-41190).
    """
    what = f"the manifest {raw.digest}"
    if len(raw.data) > MAX_MANIFEST_BYTES:
        raise ImageTooLargeError(
            f"{what} has {len(raw.data)} bytes; at most {MAX_MANIFEST_BYTES} are read", target=raw.digest
        )
    document = json_object(raw.data, what)
    media_type = _media_type(raw, document, what)
    if media_type in INDEX_MEDIA_TYPES:
        return _entries(document, what)
    return _manifest(raw.digest, media_type, document, what)


def _media_type(raw: RawManifest, document: Mapping[str, object], what: str) -> str:
    """What it is, where header, own statement and content agree."""
    own = document.get("mediaType")
    known = INDEX_MEDIA_TYPES + MANIFEST_MEDIA_TYPES
    if document.get("schemaVersion") == 1 or "fsLayers" in document:
        raise ImageCorruptError(
            f"{what} is Docker's schema 1, which is not read: push the image again with a current client",
            target=raw.digest,
        )
    header = raw.media_type.partition(";")[0].strip().lower()
    stated = header if header in known else own
    if stated is None and header in ("", "application/json", "application/octet-stream", "text/plain"):
        stated = INDEX_MEDIA_TYPES[0] if "manifests" in document else MANIFEST_MEDIA_TYPES[0]
    if not isinstance(stated, str) or stated not in known:
        shown = str(stated or header)[:100]
        raise ImageCorruptError(
            f"{what} has the media type {shown!r}; readable are OCI and Docker schema 2 images", target=raw.digest
        )
    is_index = stated in INDEX_MEDIA_TYPES
    other_kind = MANIFEST_MEDIA_TYPES if is_index else INDEX_MEDIA_TYPES
    foreign = ("config", "layers") if is_index else ("manifests",)
    if own in other_kind or any(key in document for key in foreign):
        raise ImageCorruptError(f"{what} says to be a manifest and an index at once", target=raw.digest)
    return stated


def _manifest(digest: str, media_type: str, document: Mapping[str, object], what: str) -> Manifest:
    layers = _list(document, "layers", MAX_LAYERS, what)
    return Manifest(
        digest,
        media_type,
        parse_descriptor(document.get("config"), f"the config in {what}"),
        tuple(parse_descriptor(layer, f"a layer in {what}") for layer in layers),
    )


def _entries(document: Mapping[str, object], what: str) -> tuple[IndexEntry, ...]:
    entries = _list(document, "manifests", MAX_INDEX_ENTRIES, what)
    return tuple(_entry(entry, f"an entry of {what}") for entry in entries)


def _entry(value: object, what: str) -> IndexEntry:
    descriptor = parse_descriptor(value, what)
    values = value if isinstance(value, dict) else {}
    stated, notes = values.get("platform"), values.get("annotations")
    platform = platform_from(stated) if isinstance(stated, dict) else None
    notes = notes if isinstance(notes, dict) else {}
    is_unknown = platform is not None and "unknown" in (platform.os, platform.architecture)
    name = notes.get("org.opencontainers.image.ref.name")
    return IndexEntry(
        descriptor, platform, is_unknown or _REFERENCE_TYPE in notes, name if isinstance(name, str) else ""
    )


def parse_descriptor(value: object, what: str) -> Descriptor:
    """A descriptor; ImageCorruptError says what of it is wrong."""
    if not isinstance(value, dict):
        raise ImageCorruptError(f"{what} is no descriptor", target=what)
    known = {"media_type": value.get("mediaType", ""), "digest": value.get("digest"), "size": value.get("size")}
    try:
        return Descriptor.model_validate(known, strict=True)
    except ValidationError as exc:
        raise ImageCorruptError(f"{what} has no good {exc.errors()[0]['loc'][0]}", target=what) from exc


def _list(document: Mapping[str, object], key: str, at_most: int, what: str) -> Sequence[object]:
    values = document.get(key)
    if not isinstance(values, list):
        raise ImageCorruptError(f"{what} has no list of {key}", target=what)
    if len(values) > at_most:
        raise ImageTooLargeError(f"{what} has {len(values)} {key}; at most {at_most} are read", target=what)
    return values
