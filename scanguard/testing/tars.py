"""Tar archives for tests: any entries, in any order, the same bytes every time."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import zstandard

Compression: TypeAlias = Literal["gzip", "zstd", "plain"]


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link to ``target``."""

    target: str


@dataclass(frozen=True, slots=True)
class Link:
    """A hard link to the path ``target``."""

    target: str


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory entry; parents of files need none."""


@dataclass(frozen=True, slots=True)
class Special:
    """A fifo, or a character or block device."""

    kind: Literal["fifo", "character", "block"] = "fifo"


Entry: TypeAlias = bytes | Symlink | Link | Directory | Special
LayerContent: TypeAlias = Mapping[str, Entry] | Iterable[tuple[str, Entry]]
"""Paths and what is there; pairs where a path comes twice. Whiteouts are files named ``.wh.…``."""

_SPECIAL = {"fifo": tarfile.FIFOTYPE, "character": tarfile.CHRTYPE, "block": tarfile.BLKTYPE}


def build_tar(entries: LayerContent, *, tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive of the entries, in their order, with names exactly as given."""
    buffer = io.BytesIO()
    pairs = entries.items() if isinstance(entries, Mapping) else entries
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for name, entry in pairs:
            info = tarfile.TarInfo(name)
            data = _describe(info, entry)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _describe(info: tarfile.TarInfo, entry: Entry) -> bytes:
    if isinstance(entry, bytes):
        info.size = len(entry)
        return entry
    if isinstance(entry, Symlink):
        info.type, info.linkname = tarfile.SYMTYPE, entry.target
    elif isinstance(entry, Link):
        info.type, info.linkname = tarfile.LNKTYPE, entry.target
    elif isinstance(entry, Directory):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    else:
        info.type = _SPECIAL[entry.kind]
    return b""


def compress(data: bytes, compression: Compression) -> bytes:
    """Compressed, without a time in it."""
    if compression == "gzip":
        return gzip.compress(data, compresslevel=6, mtime=0)
    return zstandard.compress(data) if compression == "zstd" else data
