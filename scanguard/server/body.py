"""A request's body, within limits of size and time."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

from scanguard.server.problems import RequestRefusedError

JSON_TYPES: Final = frozenset(
    {"application/json", "application/cloudevents+json", "application/cloudevents-batch+json"}
)


def check_type(request: Request) -> None:
    """415 unless the body says that it is plain JSON.

    A browser asks before it sends such a type to another origin, and is not let: that protects a service on
    loopback from web pages.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if kind not in JSON_TYPES:
        known = ", ".join(sorted(JSON_TYPES))
        raise RequestRefusedError(415, "media-type", f"the body must be one of {known}")
    if encoding not in ("", "identity"):
        raise RequestRefusedError(415, "media-type", "the body must not be compressed")


async def read_body(request: Request, max_bytes: int, timeout_s: float) -> bytes:
    """The whole body; 413 when it is longer than ``max_bytes``, 408 when it takes longer than ``timeout_s``.

    Nothing past the limit is kept, whatever ``Content-Length`` says.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced[:19]) > max_bytes:
        raise _too_large(max_bytes)
    chunks: list[bytes] = []
    length = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                length += len(chunk)
                if length > max_bytes:
                    raise _too_large(max_bytes)
                chunks.append(chunk)
    except TimeoutError:
        text = f"the body did not arrive within {timeout_s:g} s: send it again"
        raise RequestRefusedError(408, "slow-body", text, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise RequestRefusedError(400, "cut-off", "the connection ended before the body did") from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(max_bytes: int) -> RequestRefusedError:
    text = f"the body is longer than {max_bytes:,} bytes: send fewer events at once"
    return RequestRefusedError(413, "too-large", text)
