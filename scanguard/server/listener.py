"""uvicorn in this process: a socket, a server that leaves signals to its caller, a bounded stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import uvicorn

from scanguard.errors import ConfigError
from scanguard.server.protocol import guarded_protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from scanguard.settings.server import ServerSettings


class Listener(uvicorn.Server):
    """A server that is running, and where."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self.url = url
        self.is_listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        self.is_listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: whoever runs the server decides what they mean."""
        yield


@asynccontextmanager
async def listening(asgi: ASGIApp, settings: ServerSettings) -> AsyncIterator[Listener]:
    """Serve while inside; on leaving, no connection is taken any more and requests in hand are finished.

    That takes ``settings.shutdown_s`` at most; what is not finished then is cut off, unacknowledged.

    Errors:
        ConfigError: the address cannot be listened on.
    """
    opened = open_socket(settings.host, settings.port)
    server = Listener(_config(asgi, settings), _url(opened))
    running = asyncio.create_task(server.serve([opened]))
    try:
        await server.is_listening.wait()
        yield server
    finally:
        server.should_exit = True
        await running
        opened.close()


def open_socket(host: str, port: int) -> socket.socket:
    """A bound socket; raises ConfigError when there can be none."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as exc:
        raise ConfigError(f"cannot listen on {host}: {exc.strerror}", target="server.host") from exc
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.setblocking(False)
    except OSError as exc:
        opened.close()
        raise ConfigError(f"cannot listen on {host}, port {port}: {exc.strerror}", target="server.port") from exc
    return opened


def _url(opened: socket.socket) -> str:
    host, port = opened.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _config(asgi: ASGIApp, settings: ServerSettings) -> uvicorn.Config:
    return uvicorn.Config(
        asgi,
        http=guarded_protocol(settings.max_connections, settings.header_timeout_s),
        ws="none",
        lifespan="off",
        loop="none",
        interface="asgi3",
        log_config=None,
        access_log=False,  # it would write the query, and the key in it
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        h11_max_incomplete_event_size=settings.max_header_bytes,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.shutdown_s,
    )
