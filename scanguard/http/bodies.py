"""Read answers within limits: size, time, and how long we are asked to wait."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from scanguard.http.transport import Response

MAX_RETRY_AFTER_S: Final = 6 * 3600.0
"""Longest wait believed; the longest honest one known is Docker Hub's six-hour window."""

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


async def read_capped(response: Response, max_bytes: int, too_large: Callable[[], Exception]) -> bytes:
    """Read the body of a *streamed* response, at most ``max_bytes`` of it once decompressed.

    Args:
        response: From ``async with client.stream(...)``; not read yet.
        max_bytes: Largest body accepted.
        too_large: Makes the error to raise when there is more; nothing past the limit is kept in memory.
    """
    length = response.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length[:19]) > max_bytes:
        raise too_large()
    inflater = None
    if response.headers.get("Content-Encoding", "identity").lower() in ("gzip", "deflate"):
        inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
    body = bytearray()
    async for chunk in response.aiter_raw():
        # The library's own decoding would inflate a whole chunk before anybody could count it.
        body += _inflate(inflater, chunk, max_bytes + 1 - len(body)) if inflater else chunk
        if len(body) > max_bytes:
            raise too_large()
    return bytes(body)


def _inflate(inflater: zlib._Decompress, chunk: bytes, max_bytes: int) -> bytes:
    try:
        return inflater.decompress(chunk, max_bytes)
    except zlib.error as exc:
        from scanguard.http.transport import DecodingError  # noqa: PLC0415  # loaded already: there is a response

        raise DecodingError("the answer's compressed body cannot be read") from exc


@asynccontextmanager
async def deadline(seconds: float, error: Callable[[], Exception]) -> AsyncIterator[None]:
    """Bound everything inside to ``seconds`` in total; past it, cancel it and raise ``error()``."""
    timer = asyncio.timeout(seconds)
    try:
        async with timer:
            yield
    except TimeoutError as exc:
        if timer.expired():
            raise error() from exc
        raise


def retry_after_s(response: Response, now: datetime) -> float | None:
    """Read ``Retry-After`` (seconds or an HTTP date, RFC 9110 section 10.2.3).

    Returns:
        Seconds to wait, between 0 and :data:`MAX_RETRY_AFTER_S`; None without a readable header.
    """
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), MAX_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)
