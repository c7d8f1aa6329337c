"""Azure on this machine: TLS by a test's own authority, names that lead to loopback, an event loop for the servers.

The names stay Azure's own (``kv-security.vault.azure.net``), so certificates, hosts and challenges are checked as they
are in the cloud; only where the names lead is changed.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult
from azure.core.pipeline.transport import AioHttpTransport

from scanguard.http import HttpFactory

T = TypeVar("T")


class Authority:
    """A certificate authority of one test."""

    def __init__(self, folder: Path, *names: str) -> None:
        authority = trustme.CA()
        self.ca_file = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(self.tls)


def loopback_http(ca_file: Path, port: int) -> HttpFactory:
    """The real factory; guarded clients find every name on loopback, at this port."""

    async def resolve(host: str, wanted: int) -> Sequence[tuple[str, int]]:
        return [("127.0.0.1", port)]

    return HttpFactory(ca_file=ca_file, resolve=resolve)


class _Loopback(AbstractResolver):
    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = ResolveResult(hostname=host, host="127.0.0.1", port=self._port, family=socket.AF_INET, proto=0, flags=0)
        return [found]

    async def close(self) -> None:
        """Nothing is open."""


def loopback_transport(ca_file: Path, port: int) -> Callable[[], Any]:
    """Makes transports for Azure's clients, which find every name on loopback, at this port."""

    def make() -> AioHttpTransport:
        connector = aiohttp.TCPConnector(resolver=_Loopback(port))
        session = aiohttp.ClientSession(connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        return AioHttpTransport(session=session, connection_verify=str(ca_file))

    return make


@contextmanager
def in_a_thread(server: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """A server with an event loop of its own, so that what is measured here is the plugin."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(20)
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


@asynccontextmanager
async def both(one: AbstractAsyncContextManager[Any], other: AbstractAsyncContextManager[Any]) -> AsyncIterator[None]:
    """Two servers at once."""
    async with one, other:
        yield
