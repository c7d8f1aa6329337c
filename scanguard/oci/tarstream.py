"""Read a tar archive once, forwards, from hostile bytes.

Not ``tarfile``: it reads headers of any size into memory, recurses on chains of them, keeps every member, and
takes five times as long. What is accepted follows Go's ``archive/tar``, which every container runtime unpacks
with (https://pkg.go.dev/archive/tar, ``reader.go`` of 1.22), so that we see the files that a runtime sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from scanguard.errors import ImageCorruptError

BLOCK: Final = 512
MAX_EXTENSION_BYTES: Final = 1 << 20
"""Of a PAX or long-name header, as in Go."""
_ZERO: Final = bytes(BLOCK)
_BLANKS: Final = sum(b" " * 8)


class Kind(Enum):
    """What a tar entry makes."""

    FILE = auto()
    DIRECTORY = auto()
    SYMLINK = auto()
    HARDLINK = auto()
    SPECIAL = auto()
    """A device or fifo: it takes a name, and holds nothing."""
    OTHER = auto()
    """Something that runtimes do not unpack."""


_KINDS: Final = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"S": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.SPECIAL,
    b"4": Kind.SPECIAL,
    b"5": Kind.DIRECTORY,
    b"6": Kind.SPECIAL,
}


@dataclass(slots=True)
class TarEntry:
    """One entry: name and target as written; ``size`` bytes of content follow in the stream."""

    name: str
    kind: Kind
    size: int
    target: str = ""
    is_sparse: bool = False


class TarStream:
    """A tar archive in chunks of bytes.

    Iterate :meth:`entries`; between two steps the content of the entry may be read with :meth:`content`, and is
    skipped otherwise. :meth:`drain` reads on to the end of the stream, behind the end of the archive.

    Raises (from every method):
        ImageCorruptError: The archive breaks its format, or is cut off.
        Exception: What the chunks raise.
    """

    def __init__(self, chunks: Iterator[bytes], layer: str) -> None:
        self._chunks = chunks
        self._layer = layer
        self._buffer = b""
        self._at = 0
        self._content_left = 0
        self._padding = 0

    def entries(self) -> Iterator[TarEntry]:
        """The entries, in the order of the archive."""
        while (block := self._header()) is not None:
            name = target = b""
            records: dict[bytes, bytes] = {}
            while block[156:157] in b"xgXLK":
                kind = block[156:157]
                data = self._extension(block)
                if kind in b"xX":
                    records = self._pax(data)
                elif kind == b"L":
                    name = data.partition(b"\0")[0]
                elif kind == b"K":
                    target = data.partition(b"\0")[0]
                # A global header ("g") changes nothing: runtimes leave it aside.
                following = self._header()
                if following is None:
                    if kind == b"g":
                        return
                    raise self._corrupt("ends within the headers of an entry")
                block = following
            yield self._entry(block, name, target, records)
            self._skip(self._content_left + self._padding)

    def content(self) -> bytes:
        """The whole content of the current entry: mind its size first."""
        data, self._content_left = self._read(self._content_left), 0
        return data

    def drain(self) -> None:
        """Read to the end of the stream."""
        self._buffer, self._at = b"", 0
        for _ in self._chunks:
            pass

    def _header(self) -> bytes | None:
        """The next header block, None at the end of the archive (two zero blocks, or simply the end)."""
        block = self._take(BLOCK)
        if not block:
            return None
        if block == _ZERO:
            second = self._take(BLOCK)
            if not second or second == _ZERO:
                return None
            raise self._corrupt("goes on behind a zero block")
        if len(block) < BLOCK:
            raise self._corrupt("is cut off in a header")
        self._check_sum(block)
        return block

    def _check_sum(self, block: bytes) -> None:
        stated = self._number(block[148:156], "checksum")
        unsigned = sum(block) - sum(block[148:156]) + _BLANKS
        if stated != unsigned:
            signed = unsigned - 256 * sum(byte > 127 for byte in block[:148] + block[156:])
            if stated != signed:
                raise self._corrupt("has a header with a wrong checksum")

    def _entry(self, block: bytes, name: bytes, target: bytes, records: dict[bytes, bytes]) -> TarEntry:
        flag = block[156:157]
        name = records.get(b"path") or name or self._short_name(block)
        target = records.get(b"linkpath") or target or _text(block[157:257])
        size = self._number(block[124:136], "size")
        if b"size" in records:
            size = self._decimal(records[b"size"], "size")
        if size < 0:
            raise self._corrupt("has an entry with a negative size")
        kind = _KINDS.get(flag, Kind.OTHER)
        if flag == b"\0" and name.endswith(b"/"):
            kind = Kind.DIRECTORY
        if kind not in (Kind.FILE, Kind.OTHER):
            size = 0
        is_sparse = flag == b"S" or any(key.startswith(b"GNU.sparse.") for key in records)
        if is_sparse and kind is Kind.FILE:
            name = records.get(b"GNU.sparse.name") or name
        if flag == b"S":
            self._sparse_map(block)
        self._content_left, self._padding = size, -size % BLOCK
        return TarEntry(_decoded(name), kind, size, _decoded(target), is_sparse)

    def _sparse_map(self, block: bytes) -> None:
        """The blocks that continue an old GNU sparse header; their map itself is not needed."""
        goes_on = block[482]
        while goes_on:
            more = self._read(BLOCK)
            goes_on = more[504]

    def _short_name(self, block: bytes) -> bytes:
        name = _text(block[:100])
        if block[257:263] == b"ustar\0":
            prefix = _text(block[345:500])
            return prefix + b"/" + name if prefix else name
        return name

    def _extension(self, block: bytes) -> bytes:
        size = self._number(block[124:136], "size")
        if not 0 <= size <= MAX_EXTENSION_BYTES:
            raise self._corrupt(f"has an extended header of {size} bytes")
        data = self._read(size)
        self._skip(-size % BLOCK)
        return data

    def _pax(self, data: bytes) -> dict[bytes, bytes]:
        """Records ``length key=value newline``, the length counting all; the last of a key wins, an empty one none."""
        records: dict[bytes, bytes] = {}
        at = 0
        while at < len(data):
            digits, space, _ = data[at : at + 8].partition(b" ")
            length = self._decimal(digits, "extended header") if space else 0
            record = data[at + len(digits) + 1 : at + length]
            key, equals, value = record[:-1].partition(b"=")
            if length < 5 or at + length > len(data) or not equals or not record.endswith(b"\n"):
                raise self._corrupt("has a broken extended header")
            if key in (b"path", b"linkpath") and b"\0" in value:
                raise self._corrupt("has a zero byte in a name")
            records.pop(key, None)
            if value:
                records[key] = value
            at += length
        return records

    def _number(self, field: bytes, what: str) -> int:
        """An octal field, or GNU's base 256."""
        if field[0] & 0x80:
            value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
            if field[0] & 0x40:
                value -= 1 << (8 * len(field) - 1)
            if value >= 1 << 63:
                raise self._corrupt(f"has an entry with a {what} too large")
            return value
        digits = field.strip(b" \0").partition(b"\0")[0]
        if not digits:
            return 0
        if not digits.isdigit() or b"8" in digits or b"9" in digits:
            raise self._corrupt(f"has an entry with a broken {what}")
        return int(digits, 8)

    def _decimal(self, digits: bytes, what: str) -> int:
        if not digits.isdigit() or len(digits) > 18:
            raise self._corrupt(f"has an entry with a broken {what}")
        return int(digits)

    def _take(self, count: int) -> bytes:
        """Up to ``count`` bytes, fewer only at the end of the stream."""
        end = self._at + count
        if end <= len(self._buffer):
            data = self._buffer[self._at : end]
            self._at = end
            return data
        parts = [self._buffer[self._at :]]
        missing = count - len(parts[0])
        self._buffer, self._at = b"", 0
        while missing:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            parts.append(chunk[:missing])
            if len(chunk) > missing:
                self._buffer, self._at = chunk, missing
            missing -= len(parts[-1])
        return b"".join(parts)

    def _read(self, count: int) -> bytes:
        data = self._take(count)
        if len(data) < count:
            raise self._corrupt("is cut off")
        return data

    def _skip(self, count: int) -> None:
        while count:
            here = min(count, len(self._buffer) - self._at)
            self._at += here
            count -= here
            if count:
                chunk = next(self._chunks, None)
                if chunk is None:
                    raise self._corrupt("is cut off")
                self._buffer, self._at = chunk, 0

    def _corrupt(self, problem: str) -> ImageCorruptError:
        return ImageCorruptError(f"layer {self._layer}: its tar archive {problem}", target=self._layer)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _decoded(name: bytes) -> str:
    """Names are bytes; those that are no UTF-8 are shown, not lost."""
    return name.decode(errors="backslashreplace")
