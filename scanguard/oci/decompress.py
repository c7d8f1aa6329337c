"""Compressed chunks in, plain chunks out, never more than a small block at once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import IO, Final, cast

from scanguard.errors import ImageCorruptError

BLOCK_BYTES: Final = 1 << 18
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_MAX_WINDOW_BYTES: Final = 1 << 27
"""What the reference decoder takes by default (RFC 8878 asks decoders for 8 MiB at least)."""


def decompress(chunks: Iterator[bytes], layer: str) -> Iterator[bytes]:
    """Decompress a layer. Its first bytes decide how, as in every runtime: media types are often wrong.

    Raises:
        ImageCorruptError: The stream is cut off, or is not what its first bytes say.
    """
    head, chunks = _peek(chunks, 4)
    if head.startswith(_GZIP):
        return _gunzip(chunks, layer)
    if head == _ZSTD or (head[1:] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F):
        return _unzstd(chunks, layer)
    return chunks


def _peek(chunks: Iterator[bytes], count: int) -> tuple[bytes, Iterator[bytes]]:
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= count:
            break

    def again() -> Iterator[bytes]:
        if first:
            yield first
        yield from chunks

    return first[:count], again()


def _gunzip(chunks: Iterator[bytes], layer: str) -> Iterator[bytes]:
    """All members of a gzip stream."""
    member, is_started = zlib.decompressobj(wbits=31), False
    for chunk in chunks:
        rest = chunk
        while rest:
            try:
                block = member.decompress(rest, BLOCK_BYTES)
                is_started = True
                if block:
                    yield block
                # Output may be left inside although all input is taken: ask again until a block is not full.
                while len(block) == BLOCK_BYTES and not member.unconsumed_tail and not member.eof:
                    block = member.decompress(b"", BLOCK_BYTES)
                    if block:
                        yield block
            except zlib.error as exc:
                raise ImageCorruptError(f"layer {layer} breaks gzip: {exc}", target=layer) from exc
            if member.eof:
                rest = member.unused_data
                member, is_started = zlib.decompressobj(wbits=31), False
            else:
                rest = member.unconsumed_tail
    if is_started:
        raise ImageCorruptError(f"layer {layer}: its gzip stream is cut off", target=layer)


def _unzstd(chunks: Iterator[bytes], layer: str) -> Iterator[bytes]:
    """All frames of a zstd stream."""
    import zstandard  # noqa: PLC0415  # heavy, and most layers are gzip

    source = _Readable(chunks)
    decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_MAX_WINDOW_BYTES)
    reader = decoder.stream_reader(cast("IO[bytes]", source), read_size=BLOCK_BYTES, read_across_frames=True)
    try:
        while block := reader.read(BLOCK_BYTES):
            yield block
    except zstandard.ZstdError as exc:
        raise ImageCorruptError(f"layer {layer} breaks zstd: {exc}", target=layer) from exc


class _Readable:
    """Chunks as the file that zstandard reads from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int) -> bytes:
        if not self._rest:
            self._rest = next(self._chunks, b"")
        part, self._rest = self._rest[:size], self._rest[size:]
        return part
