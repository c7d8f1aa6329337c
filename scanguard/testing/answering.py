"""A web server that gives one answer to everything: for what a plugin does when the other side is broken."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_LIMIT_S = 30.0
"""A hanging answer ends at last, so that a test that forgot to cancel fails instead of staying."""


@contextmanager
def answering(
    status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None, *, hangs: bool = False
) -> Iterator[str]:
    """Serve on a free loopback port, and yield the base URL.

    Args:
        status: Status of every answer.
        body: Its body.
        headers: Its headers besides ``Content-Length``, such as ``{"Retry-After": "7"}``.
        hangs: Take the request and never answer.
    """
    stopping = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if hangs:
                stopping.wait(HANG_LIMIT_S)
                return
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # the library's own types
            """A client that went away is part of the test."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def unreachable_url() -> str:
    """The URL of a loopback port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
