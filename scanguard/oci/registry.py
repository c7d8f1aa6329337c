"""A registry's repository as a source of manifests and blobs (the OCI distribution API)."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final
from urllib.parse import quote

from scanguard import http
from scanguard.errors import ImageCorruptError, ImageTooLargeError, RegistryUnavailableError
from scanguard.oci.blobs import INDEX_MEDIA_TYPES, MANIFEST_MEDIA_TYPES, Descriptor, RawManifest
from scanguard.oci.content import MAX_MANIFEST_BYTES, digest_of
from scanguard.oci.session import RegistrySession

ACCEPT: Final = ", ".join(INDEX_MEDIA_TYPES + MANIFEST_MEDIA_TYPES)
MIN_BYTES_PER_S: Final = 50_000
"""A blob slower than this over its whole length is given up: a trickle must not hold a worker."""
MAX_RESUMES: Final = 2

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-")


class ManifestCache:
    """The last manifests read, by repository and digest; a digest's bytes never change."""

    def __init__(self, max_bytes: int = 16 << 20) -> None:
        self._kept: OrderedDict[tuple[str, str], RawManifest] = OrderedDict()
        self._max_bytes = max_bytes
        self._bytes = 0

    def get(self, repository: str, digest: str) -> RawManifest | None:
        """The manifest, or None."""
        return self._kept.get((repository, digest))

    def put(self, repository: str, manifest: RawManifest) -> None:
        """Keep a verified manifest, and forget the oldest ones for it."""
        if (repository, manifest.digest) in self._kept:
            return
        self._kept[repository, manifest.digest] = manifest
        self._bytes += len(manifest.data)
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._kept.popitem(last=False)[1].data)


class RegistrySource:
    """Reads one repository of a registry; a :class:`~scanguard.oci.blobs.BlobSource`."""

    def __init__(self, session: RegistrySession, cache: ManifestCache, timeout_s: float) -> None:
        self._session = session
        self._cache = cache
        self._timeout_s = timeout_s
        self._name = f"{session.endpoint.registry}/{session.repository}"

    async def manifest(self, reference: str) -> RawManifest:
        """The manifest or index that a tag or digest names, its bytes verified.

        A tag is resolved by HEAD, which costs nothing of Docker Hub's pull quota, and read by digest.

        Raises:
            RegistryError: By kind: not found, auth, throttled, unavailable, refused; ImageCorruptError when the
                bytes are not what their digest, or the registry's own header, says; ImageTooLargeError.
        """
        async with http.deadline(self._timeout_s, lambda: self._late(reference)):
            digest = reference if _DIGEST.fullmatch(reference) else await self._digest_of(reference)
            kept = self._cache.get(self._name, digest) if digest else None
            return kept or await self._read(digest or reference, digest)

    async def _digest_of(self, tag: str) -> str | None:
        """Ask by HEAD; None where the registry has no HEAD, or answers it without a digest."""
        path = f"manifests/{quote(tag, safe='')}"
        accept = frozenset({200, 405, 501})
        async with self._session.open("HEAD", path, {"Accept": ACCEPT}, accept) as response:
            if response.status_code != 200:
                return None
            return self._stated_digest(response, tag)

    async def _read(self, reference: str, digest: str | None) -> RawManifest:
        path = f"manifests/{quote(reference, safe=':')}"
        async with self._session.open("GET", path, {"Accept": ACCEPT}) as response:
            data = await http.read_capped(response, MAX_MANIFEST_BYTES, lambda: self._too_large(reference))
            stated = self._stated_digest(response, reference)
            content_type = response.headers.get("Content-Type", "")
        for expected, whose in ((digest, "asked for"), (stated, "stated by the registry")):
            if expected and digest_of(data, expected) != expected:
                raise ImageCorruptError(
                    f"{self._name}: the manifest {reference} does not have the digest {whose} ({expected})",
                    target=self._name,
                )
        manifest = RawManifest(digest or stated or digest_of(data), media_type_of(content_type, data), data)
        self._cache.put(self._name, manifest)
        return manifest

    async def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """Stream a blob's bytes as stored; digest and exact size are for the reader to verify.

        A broken download goes on where it stopped, twice at most, where the server knows ranges.

        Raises:
            RegistryError: By kind, as for :meth:`manifest`; ImageCorruptError also when there are more bytes than
                the descriptor says; RegistryUnavailableError when they stop, or trickle.
        """
        patience = _Patience(self._timeout_s, self._timeout_s + descriptor.size / MIN_BYTES_PER_S)
        received = 0
        for resumes_left in range(MAX_RESUMES, -1, -1):
            before = received
            try:
                async with aclosing(self._blob_from(descriptor, received, patience)) as chunks:
                    async for chunk in chunks:
                        received += len(chunk)
                        if received > descriptor.size:
                            raise self._corrupt(descriptor, f"has more than the {descriptor.size} bytes it should have")
                        yield chunk
            except RegistryUnavailableError:
                if not resumes_left or received == before or patience.is_over:
                    raise
            else:
                if received < descriptor.size:
                    raise self._corrupt(descriptor, f"ends after {received} of {descriptor.size} bytes")
                return

    async def _blob_from(self, descriptor: Descriptor, start: int, patience: _Patience) -> AsyncGenerator[bytes, None]:
        headers = {"Range": f"bytes={start}-"} if start else {}
        accept = frozenset({200, 206, 416} if start else {200})
        async with self._session.open("GET", f"blobs/{descriptor.digest}", headers, accept) as response:
            self._check_part(descriptor, response, start)
            chunks = response.aiter_raw()
            try:
                while (chunk := await patience.next(chunks)) is not None:
                    yield chunk
            except TimeoutError as exc:
                raise self._late(descriptor.digest) from exc

    def _check_part(self, descriptor: Descriptor, response: http.Response, start: int) -> None:
        """Refuse an answer that is not the part asked for, before any of it is read."""
        if start and response.status_code != 206:
            raise RegistryUnavailableError(
                f"{self._name}: the blob {descriptor.digest} broke off after {start} bytes, and the server cannot go "
                "on from there",
                target=self._name,
            )
        if start:
            found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            if found is None or int(found.group(1)) != start:
                raise self._corrupt(descriptor, "goes on at another place than asked")
        length = response.headers.get("Content-Length", "")
        if length and length != str(descriptor.size - start):
            raise self._corrupt(descriptor, f"is announced with {length[:20]} bytes, not {descriptor.size - start}")

    def _stated_digest(self, response: http.Response, reference: str) -> str | None:
        stated: str | None = response.headers.get("Docker-Content-Digest")
        if stated is None or _DIGEST.fullmatch(stated):
            return stated
        raise ImageCorruptError(
            f"{self._name}: the registry states a digest of {reference} that is none: {http.redact_text(stated)}",
            target=self._name,
        )

    def _corrupt(self, descriptor: Descriptor, problem: str) -> ImageCorruptError:
        return ImageCorruptError(f"{self._name}: the blob {descriptor.digest} {problem}", target=self._name)

    def _too_large(self, reference: str) -> ImageTooLargeError:
        return ImageTooLargeError(
            f"{self._name}: the manifest {reference} is larger than {MAX_MANIFEST_BYTES} bytes", target=self._name
        )

    def _late(self, reference: str) -> RegistryUnavailableError:
        return RegistryUnavailableError(f"{self._name}: reading {reference} takes too long", target=self._name)


class _Patience:
    """How long a download may keep us waiting: for the next bytes, and in all. Time the reader takes is its own."""

    def __init__(self, step_s: float, total_s: float) -> None:
        self._step_s = step_s
        self._left_s = total_s

    @property
    def is_over(self) -> bool:
        return self._left_s <= 0

    async def next(self, chunks: AsyncIterator[bytes]) -> bytes | None:
        """The next chunk, None at the end; TimeoutError when it does not come in time."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(min(self._step_s, self._left_s), 0)):
                return await anext(chunks, None)
        finally:
            self._left_s -= time.monotonic() - started


def media_type_of(content_type: str, data: bytes) -> str:
    """The media type of a manifest: the header's when it is one we asked for, else what the manifest says of itself."""
    stated = content_type.partition(";")[0].strip().lower()
    if stated in INDEX_MEDIA_TYPES + MANIFEST_MEDIA_TYPES:
        return stated
    try:
        own = json.loads(data)["mediaType"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return stated
    return own if isinstance(own, str) else stated
