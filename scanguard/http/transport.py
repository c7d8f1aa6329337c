"""The only module that imports httpx: transports, clients, and the library's names that others need."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Iterator, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpcore
import httpx
from httpx import (
    URL,
    AsyncClient,
    DecodingError,
    HTTPError,
    HTTPStatusError,
    InvalidURL,
    Response,
    TimeoutException,
    TransportError,
    create_ssl_context,
)

from scanguard.http.addresses import AddressPolicy
from scanguard.http.factory import Resolver
from scanguard.http.guard import GuardedBackend
from scanguard.http.watch import Watch

__all__ = [
    "URL",
    "AsyncClient",
    "DecodingError",
    "HTTPError",
    "HTTPStatusError",
    "InvalidURL",
    "Response",
    "TimeoutException",
    "TransportError",
    "create_ssl_context",
    "make_client",
]

_LOG = logging.getLogger("scanguard.http")

# httpx logs whole URLs, signatures of storage included, and httpcore logs answers' headers, Location included.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

_RETRIED_METHODS = frozenset({"GET", "HEAD"})
_RETRIED_STATUS = frozenset({502, 503, 504})
_FIRST_DELAY_S = 0.2
_MAX_DELAY_S = 2.0
_DECODABLE = frozenset({"", "identity", "gzip", "deflate"})


def make_client(
    *,
    base_url: str,
    timeout_s: float,
    connect_timeout_s: float,
    headers: Mapping[str, str],
    context: ssl.SSLContext,
    addresses: AddressPolicy | None,
    resolve: Resolver | None,
    watch: Watch | None,
    max_redirects: int,
    attempts: int,
    max_connections: int,
    cookies: bool,
) -> AsyncClient:
    """Assemble a client; see :meth:`scanguard.http.HttpFactory.client`."""
    limits = httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
    wire = _PooledTransport(context, limits, addresses, resolve)
    return AsyncClient(
        base_url=base_url,
        headers=headers,
        timeout=httpx.Timeout(timeout_s, connect=connect_timeout_s),
        transport=RetryTransport(wire, attempts=attempts, watch=watch),
        cookies=None if cookies else CookieJar(DefaultCookiePolicy(allowed_domains=())),
        follow_redirects=max_redirects > 0,
        max_redirects=max_redirects,
        trust_env=False,
    )


class QuietResponse(Response):
    """A response whose status error names the server only; the library's text holds the whole URL."""

    def raise_for_status(self) -> Response:
        """Raise :class:`HTTPStatusError` unless the status is a success."""
        if self.is_success:
            return self
        text = f"{_origin(self.request.url)} answered {self.status_code}"
        raise HTTPStatusError(text, request=self.request, response=self)


class _PooledTransport(httpx.AsyncHTTPTransport):
    """httpx's transport over a pool of our own, because httpx offers no way to pass a network backend."""

    def __init__(
        self,
        context: ssl.SSLContext,
        limits: httpx.Limits,
        addresses: AddressPolicy | None,
        resolve: Resolver | None,
    ) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=None if addresses is None else GuardedBackend(addresses, resolve),
        )

    async def handle_async_request(self, request: httpx.Request) -> Response:
        """Send once."""
        answer = await super().handle_async_request(request)
        encoding = answer.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in _DECODABLE:
            # We never ask for these, and one small zstd frame may decode to gigabytes at once.
            await answer.aclose()
            raise DecodingError(f"the answer has the content encoding {encoding[:20]!r}, not asked for")
        if not isinstance(answer.stream, httpx.AsyncByteStream):  # pragma: no cover  # for the type checker
            raise TypeError("an asynchronous transport gives an asynchronous body")
        return QuietResponse(
            answer.status_code, headers=answer.headers, stream=answer.stream, extensions=answer.extensions
        )


class RetryTransport(httpx.AsyncBaseTransport):
    """Sends GET and HEAD again when no answer came about, or a gateway answered for the server.

    A retry library (tenacity, stamina) decides on exceptions around a call. Here the decision also needs the
    answer's status, the discarded answer must be closed, and the method decides whether anything may be sent
    twice: with a library that is more lines than this loop.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, *, attempts: int, watch: Watch | None = None) -> None:
        self._inner = inner
        self._watch = watch
        self._attempts = max(attempts, 1)

    async def handle_async_request(self, request: httpx.Request) -> Response:
        """Send, again if need be, and log the server, the status and the time; never the path or a header."""
        delays = self._delays(request.method)
        started = time.monotonic()
        sent = 0
        while True:
            delay = next(delays, None)
            try:
                answer = await self._send(request, sent)
            except (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError) as exc:
                _LOG.debug("%s %s failed: %s", request.method, _origin(request.url), type(exc).__name__)
                if delay is None:
                    raise
            else:
                took = time.monotonic() - started
                _LOG.debug("%s %s %d %.3f s", request.method, _origin(request.url), answer.status_code, took)
                if delay is None or answer.status_code not in _RETRIED_STATUS or "Retry-After" in answer.headers:
                    return answer
                await answer.aclose()
            await asyncio.sleep(delay)
            sent += 1

    async def _send(self, request: httpx.Request, resend: int) -> Response:
        """Send once, watched until the answer's headers are there."""
        if self._watch is None:
            return await self._inner.handle_async_request(request)
        with self._watch.request(request.method, str(request.url), resend) as exchange:
            answer = await self._inner.handle_async_request(request)
            exchange.answered(answer.status_code)
        return answer

    def _delays(self, method: str) -> Iterator[float]:
        """Full jitter, so that many workers do not come back together."""
        for retry in range(self._attempts - 1 if method in _RETRIED_METHODS else 0):
            yield random.uniform(0, min(_MAX_DELAY_S, _FIRST_DELAY_S * 2**retry))  # noqa: S311  # jitter, no secret

    async def aclose(self) -> None:
        """Close every connection."""
        await self._inner.aclose()


def _origin(url: URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii', 'replace').rpartition('@')[2]}"
