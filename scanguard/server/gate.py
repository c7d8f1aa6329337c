"""What every request passes: rate of its client, size of its head, one line in the log, no bare exception."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from scanguard.server.problems import RequestRefusedError, internal_error
from scanguard.settings.server import is_loopback

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from scanguard.server.limits import RateLimits

PROBES: Final = frozenset({"/healthz", "/readyz"})
"""Asked by whatever runs the service; never counted against anybody."""
Headers = tuple[tuple[bytes, bytes], ...]
_HEADERS: Final[Headers] = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
"""Of what may be shown or kept: the answer to a POST is neither, and senders post by the thousand."""
_MAX_PATH: Final = 200
log = logging.getLogger("scanguard.server")
access_log = logging.getLogger("scanguard.server.requests")


class Gate:
    """Outermost ASGI application.

    Args:
        inner: What answers.
        limits: Counts requests of each client.
        max_header_bytes: Longest names and values of a request's headers, and its target, together.
        loopback_only: Answer only to names of this machine: a page in a browser here, whose host name an attacker
            made lead to this machine, must not pass for somebody who sits at it.
    """

    def __init__(self, inner: ASGIApp, limits: RateLimits, *, max_header_bytes: int, loopback_only: bool) -> None:
        self._inner = inner
        self._limits = limits
        self._max_header_bytes = max_header_bytes
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        answer = _Answer(send, () if scope["method"] == "POST" else _HEADERS)
        try:
            self._admit(scope)
            await self._inner(scope, receive, answer)
        except RequestRefusedError as exc:
            await exc.response()(scope, receive, answer)
        except Exception as exc:
            # Its text may hold what was sent, so it is shown only to who asks for it.
            log.error("internal error: path=%s error=%s", _path(scope), type(exc).__name__)
            log.debug("internal error", exc_info=exc)
            if not answer.status:
                await internal_error().response()(scope, receive, answer)
        finally:
            if access_log.isEnabledFor(logging.INFO):
                _tell(scope, answer.status, time.perf_counter() - started)

    def _admit(self, scope: Scope) -> None:
        size = len(scope["raw_path"]) + len(scope["query_string"])
        host = b""
        for name, value in scope["headers"]:
            size += len(name) + len(value)
            if name == b"host":
                host = value
        if size > self._max_header_bytes:
            raise RequestRefusedError(431, "long-head", f"the head is longer than {self._max_header_bytes:,} bytes")
        if self._loopback_only and not _is_local(host):
            raise RequestRefusedError(421, "another-host", "this service answers to localhost only")
        if scope["path"] not in PROBES:
            client = scope["client"]
            self._limits.admit_client(client[0] if client else "")


class _Answer:
    """Sends on, adds headers, and notes the status."""

    __slots__ = ("_headers", "_send", "status")

    def __init__(self, send: Send, headers: Headers) -> None:
        self._send = send
        self._headers = headers
        self.status = 0

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self._headers:
                message["headers"] = [*message.get("headers", ()), *self._headers]
        return self._send(message)


def _is_local(host: bytes) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host.decode('ascii')}").hostname or "")
    except ValueError:
        return False


def _path(scope: Scope) -> str:
    """The path, without the query: a key may stand there."""
    return ascii(scope["path"])[1:-1][:_MAX_PATH]


def _tell(scope: Scope, status: int, seconds: float) -> None:
    client = scope["client"]
    extra = {
        "method": scope["method"],
        "path": _path(scope),
        "status": status,
        "ms": f"{seconds * 1e3:.1f}",
        "client": client[0] if client else "",
        "caller": scope.get("scanguard.caller", ""),
    }
    access_log.info("request", extra=extra)
