"""Images on this machine: ``oci:DIR``, ``oci-archive:FILE`` and ``docker-archive:FILE``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

from scanguard.errors import ImageNotFoundError, RegistryError
from scanguard.oci.blobs import BlobSource, Descriptor, RawManifest
from scanguard.oci.docker_archive import DockerArchive
from scanguard.oci.layout import OciLayout
from scanguard.oci.local_files import CHUNK_BYTES, ArchiveFiles, FolderFiles, Span

DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")

_T = TypeVar("_T")


class _Images(Protocol):
    """The images of one place. Blocking."""

    def manifest(self, reference: str) -> RawManifest: ...

    def blob(self, digest: str) -> Span: ...


_KINDS: Final[dict[str, Callable[[Path], _Images]]] = {
    "oci": lambda path: OciLayout(FolderFiles(path), str(path)),
    "oci-archive": lambda path: OciLayout(ArchiveFiles(path), str(path)),
    "docker-archive": lambda path: DockerArchive(ArchiveFiles(path), str(path)),
}


def is_local(name: str) -> bool:
    """Whether a name is a locator of this machine, not an image reference."""
    return name.partition(":")[0] in _KINDS and ":" in name


def open_local(locator: str) -> BlobSource:
    """A source for ``oci:DIR[:TAG|@DIGEST]``, ``oci-archive:FILE[:TAG|@DIGEST]``, ``docker-archive:FILE[:NAME]``.

    Nothing is read before it is asked for. The source's ``manifest`` takes the locator itself (or an empty text)
    for what it names, a digest, or a tag; where the locator names none, it means the only image that is there.

    Raises:
        ImageNotFoundError: The locator has no such form. Whether something is there shows when it is read.
    """
    if not is_local(locator):
        raise ImageNotFoundError(f"{locator!r} is none of {', '.join(f'{kind}:PATH' for kind in _KINDS)}")
    return LocalSource(locator)


class LocalSource:
    """One locator; a :class:`~scanguard.oci.blobs.BlobSource`. Files are read in threads."""

    def __init__(self, locator: str) -> None:
        self._locator = locator
        self._opened: tuple[_Images, str] | None = None
        self._lock = asyncio.Lock()

    async def manifest(self, reference: str) -> RawManifest:
        """The manifest or index of a digest, a tag, or (the locator itself) of what the locator names."""
        images, named = await self._images()
        wanted = named if reference in ("", self._locator) else reference
        return await asyncio.to_thread(_guarded, self._locator, images.manifest, wanted)

    async def blob(self, descriptor: Descriptor) -> AsyncIterator[bytes]:
        """Stream a blob; digest and size are for the reader to verify."""
        images, _ = await self._images()
        span = await asyncio.to_thread(_guarded, self._locator, images.blob, descriptor.digest)
        file = await asyncio.to_thread(span.open)
        try:
            left = span.size
            while left and (
                chunk := await asyncio.to_thread(_guarded, self._locator, file.read, min(CHUNK_BYTES, left))
            ):
                left -= len(chunk)
                yield chunk
        finally:
            file.close()

    async def _images(self) -> tuple[_Images, str]:
        async with self._lock:
            if self._opened is None:
                kind, _, rest = self._locator.partition(":")
                path, named = await asyncio.to_thread(_split_path, self._locator, rest)
                self._opened = (_KINDS[kind](path), named)
            return self._opened


def _split_path(locator: str, rest: str) -> tuple[Path, str]:
    """Path and name: the longest beginning that exists, cut at a colon or before a digest."""
    head, at, digest = rest.rpartition("@")
    if at and DIGEST.fullmatch(digest) and not _exists(rest):
        rest, named = head, digest
    else:
        named = ""
    path, tail = rest, ""
    while not _exists(path):
        path, colon, piece = path.rpartition(":")
        if not colon:
            raise ImageNotFoundError(
                f"{locator}: there is no {rest}; give the path of a folder or archive, for example one that "
                "'skopeo copy' or 'docker save' wrote",
                target=locator,
            )
        tail = f"{piece}:{tail}" if tail else piece
    return Path(path), named or tail


def _exists(path: str) -> bool:
    try:
        return bool(path) and Path(path).exists()
    except (OSError, ValueError):
        return False


def _guarded(locator: str, read: Callable[..., _T], *arguments: object) -> _T:
    """Disk errors become ours."""
    try:
        return read(*arguments)
    except RegistryError:
        raise
    except (OSError, ValueError) as exc:
        raise ImageNotFoundError(f"{locator} cannot be read: {exc}", target=locator) from exc
