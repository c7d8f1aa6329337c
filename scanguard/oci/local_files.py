"""Files of an image on this machine: in a folder, or in a tar archive that is read where it lies.

All functions here block; call them in a thread.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from scanguard.errors import ImageCorruptError, ImageNotFoundError, ImageTooLargeError, RegistryRefusedError
from scanguard.oci.filetree import split
from scanguard.oci.tarstream import Kind, TarStream

CHUNK_BYTES: Final = 1 << 18
MAX_ARCHIVE_ENTRIES: Final = 100_000
_MAX_LINKS: Final = 8
_COMPRESSED: Final = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")


@dataclass(frozen=True, slots=True)
class Span:
    """Where a file's bytes lie."""

    path: Path
    offset: int
    size: int

    def read(self, max_bytes: int) -> bytes:
        """All bytes; ImageTooLargeError where there are more than ``max_bytes``."""
        if self.size > max_bytes:
            raise ImageTooLargeError(
                f"{self.path}: a document of {self.size} bytes; at most {max_bytes} are read", target=str(self.path)
            )
        with self.open() as file:
            return file.read(self.size)

    def open(self) -> BinaryIO:
        """The file, at the first byte."""
        file = open_regular(self.path)
        file.seek(self.offset)
        return file


class Files(Protocol):
    """Named files; names are relative, with slashes."""

    def find(self, name: str) -> Span | None:
        """Where a file lies, None where there is none; RegistryError where it must not be read."""


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file, and never hang on anything else.

    Raises:
        ImageNotFoundError: It is not there, or cannot be read.
        ImageCorruptError: It is no regular file.
    """
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise ImageNotFoundError(f"{path} cannot be read: {reason}; check the path", target=str(path)) from exc
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ImageCorruptError(f"{path} is no regular file", target=str(path))
    return file


class FolderFiles:
    """Files of a folder; symbolic links that lead out of it are refused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def find(self, name: str) -> Span | None:
        """Where a file lies."""
        path = self._folder.joinpath(*split(name))
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return None
        if not real.is_relative_to(self._folder):
            raise RegistryRefusedError(f"{path} leads out of the folder of the image", target=str(path))
        with open_regular(real) as file:
            return Span(real, 0, os.fstat(file.fileno()).st_size)


class ArchiveFiles:
    """Files of a tar archive (uncompressed), by their names in it."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._spans: dict[str, Span] | None = None
        self._links: dict[str, str] = {}

    def find(self, name: str) -> Span | None:
        """Where a file lies; links in the archive are followed within it."""
        if self._spans is None:
            self._spans = self._index()
        path = "/".join(split(name))
        for _ in range(_MAX_LINKS):
            if path not in self._links:
                break
            path = self._links[path]
        return self._spans.get(path)

    def _index(self) -> dict[str, Span]:
        spans: dict[str, Span] = {}
        with open_regular(self._archive) as file:
            self._refuse_compressed(file)
            stream = _SeekingTar(file, str(self._archive))
            for count, entry in enumerate(stream.entries()):
                if count >= MAX_ARCHIVE_ENTRIES:
                    raise ImageTooLargeError(
                        f"{self._archive} has more than {MAX_ARCHIVE_ENTRIES} entries", target=str(self._archive)
                    )
                path = "/".join(split(entry.name))
                spans.pop(path, None)
                self._links.pop(path, None)
                if entry.kind is Kind.FILE and not entry.is_sparse:
                    spans[path] = Span(self._archive, stream.position, entry.size)
                elif entry.kind is Kind.SYMLINK:
                    self._links[path] = "/".join(split(f"{path}/../{entry.target}"))
                elif entry.kind is Kind.HARDLINK:
                    self._links[path] = "/".join(split(entry.target))
        return spans

    def _refuse_compressed(self, file: BinaryIO) -> None:
        if file.read(8).startswith(_COMPRESSED):
            raise ImageCorruptError(
                f"{self._archive} is compressed as a whole: uncompress it first", target=str(self._archive)
            )
        file.seek(0)


class _SeekingTar(TarStream):
    """A tar archive in a file: content is jumped over."""

    def __init__(self, file: BinaryIO, what: str) -> None:
        super().__init__(self._blocks(), what)
        self._file = file
        self._size = os.fstat(file.fileno()).st_size

    @property
    def position(self) -> int:
        """Where the content of the current entry begins."""
        return self._file.tell() - (len(self._buffer) - self._at)

    def _blocks(self) -> Iterator[bytes]:
        # A small block: most of what follows a header is jumped over.
        while block := self._file.read(4096):
            yield block

    def _skip(self, count: int) -> None:
        here = min(count, len(self._buffer) - self._at)
        self._at += here
        if count > here:
            if self.position + count - here > self._size:
                raise self._corrupt("is cut off")
            self._file.seek(count - here, os.SEEK_CUR)
