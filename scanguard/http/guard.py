"""Connections that are opened to checked addresses only."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable, Sequence

import httpcore

from scanguard.errors import AddressRefusedError
from scanguard.http.addresses import AddressPolicy
from scanguard.http.factory import Resolver


async def system_resolve(host: str, port: int) -> Sequence[tuple[str, int]]:
    """Look a name up the operating system's way."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(str(sockaddr[0]), int(sockaddr[1])) for *_, sockaddr in found]


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Looks a name up once, checks every address, and connects to a checked one by number.

    Because the number is connected to, a name that changes its mind after the check (DNS rebinding) changes
    nothing. The TLS server name and the certificate check still use the host name: the connection pool passes
    that on by itself.
    """

    def __init__(self, addresses: AddressPolicy, resolve: Resolver | None = None) -> None:
        self._addresses = addresses
        self._resolve = resolve or system_resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the base class's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first checked address that answers."""
        ends_at = None if timeout is None else time.monotonic() + timeout
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address, address_port in await self._checked(host, port, timeout):
            left = None if ends_at is None else max(ends_at - time.monotonic(), 0.001)
            try:
                return await self._inner.connect_tcp(address, address_port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
        raise failure

    async def _checked(self, host: str, port: int, seconds: float | None) -> Sequence[tuple[str, int]]:
        try:
            async with asyncio.timeout(seconds):
                found = await self._resolve(host, port)
        except TimeoutError as exc:
            raise httpcore.ConnectTimeout("looking the name up took too long") from exc
        except (OSError, UnicodeError) as exc:
            raise httpcore.ConnectError("the name cannot be looked up") from exc
        refusals = [self._addresses.refusal(host, port, address) for address, _ in found]
        allowed = [end for end, refused in zip(found, refusals, strict=True) if refused is None]
        if found and not allowed:
            raise AddressRefusedError(
                f"{host} leads to {found[0][0]}, a {refusals[0]} address, which is not allowed here",
                target=f"{host}:{port}",
            )
        return allowed

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109  # the base class's signature
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no guarded client talks to a socket of this machine."""
        raise AddressRefusedError("a guarded client opens no local socket", target=path)

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)
