"""A request's body, within limits of size and time."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import Request

from scanguard.server.problems import RequestRefusedError

JSON_TYPES: Final = frozenset(
    {"application/json", "application/cloudevents+json", "application/cloudevents-batch+json"}
)


WHOLE: Final = "scanguard.whole"
"""In the scope of a request whose body came with its head: reading it cannot wait, so nothing has to time it."""


def headers_of(request: Request) -> dict[str, str]:
    """A request's headers by name in lower case, decoded once; the first of several with one name."""
    headers: dict[str, str] | None = request.scope.get("scanguard.headers")
    if headers is None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(request.scope["headers"])
        }
        request.scope["scanguard.headers"] = headers
    return headers


def check_type(request: Request) -> None:
    """415 unless the body says that it is plain JSON.

    A browser asks before it sends such a type to another origin, and is not let: that protects a service on
    loopback from web pages.
    """
    headers = headers_of(request)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if kind not in JSON_TYPES:
        known = ", ".join(sorted(JSON_TYPES))
        raise RequestRefusedError(415, "media-type", f"the body must be one of {known}")
    if encoding not in ("", "identity"):
        raise RequestRefusedError(415, "media-type", "the body must not be compressed")


async def read_body(request: Request, max_bytes: int, timeout_s: float) -> bytes:
    """The whole body; 413 when it is longer than ``max_bytes``, 408 when it takes longer than ``timeout_s``.

    Nothing past the limit is kept, whatever ``Content-Length`` says.
    """
    announced = headers_of(request).get("content-length", "")
    if announced.isdigit() and int(announced[:19]) > max_bytes:
        raise _too_large(max_bytes)
    if request.scope.get(WHOLE):
        return await _read(request, max_bytes)
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(request, max_bytes)
    except TimeoutError:
        text = f"the body did not arrive within {timeout_s:g} s: send it again"
        raise RequestRefusedError(408, "slow-body", text, headers={"Connection": "close"}) from None


async def _read(request: Request, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    length = 0
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise RequestRefusedError(400, "cut-off", "the connection ended before the body did")
        more = message.get("more_body", False)
        chunks.append(message.get("body", b""))
        length += len(chunks[-1])
        if length > max_bytes:
            raise _too_large(max_bytes)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(max_bytes: int) -> RequestRefusedError:
    text = f"the body is longer than {max_bytes:,} bytes: send fewer events at once"
    return RequestRefusedError(413, "too-large", text)
