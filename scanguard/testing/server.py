"""A small real HTTP/1.1 server on loopback, for simulators: it can misbehave in ways a proper server cannot."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

_MAX_HEAD_BYTES = 65536


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it arrived; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path, percent-decoded, without the query."""
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's values by name."""
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def form(self) -> dict[str, str]:
        """The last value of each field of a form body."""
        return {name: values[-1] for name, values in parse_qs(self.body.decode(), keep_blank_values=True).items()}


@dataclass(slots=True)
class Answer:
    """What to send back.

    Attributes:
        stream: Sent after ``body``, chunk by chunk, with no end announced; the connection closes after it.
        cut_at: Close the connection after so many bytes of the body, the full length having been announced.
        delay_s: Wait before answering; use a long time to hang.
        raw: Sent as it is instead of an HTTP answer; the connection closes after it.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stream: AsyncIterator[bytes] | None = None
    cut_at: int | None = None
    delay_s: float = 0.0
    raw: bytes | None = None

    @classmethod
    def throttled(cls, wait_s: int) -> Self:
        """Too much was asked; ask again after so many seconds."""
        return cls(429, headers={"Retry-After": str(wait_s)})

    @classmethod
    def redirect(cls, url: str, status: int = 302) -> Self:
        """Go elsewhere."""
        return cls(status, headers={"Location": url})

    @classmethod
    def cut_off(cls, body: bytes, at: int) -> Self:
        """A body that ends after so many bytes, its whole length having been announced."""
        return cls(200, body, cut_at=at)

    @classmethod
    def garbage(cls, data: bytes = b"220 mail.example ESMTP\r\n") -> Self:
        """Something that is no HTTP."""
        return cls(raw=data)

    @classmethod
    def hanging(cls) -> Self:
        """No answer, for an hour; the server still stops when it is told to."""
        return cls(delay_s=3600)


Handler = Callable[[ReceivedRequest], Awaitable[Answer]]


class LoopbackServer:
    """Serves a handler on 127.0.0.1, on a free port or a given one, in the running event loop (``async with``)."""

    def __init__(self, handler: Handler, *, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._handler = handler
        self._tls = tls
        self._wanted = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[ReceivedRequest] = []
        self.port = 0

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return "https" if self._tls else "http"

    @property
    def host(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """``scheme://127.0.0.1:port``."""
        return f"{self.scheme}://{self.host}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._wanted, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            # a client that goes away, or talks no TLS, is the test's subject and no fault of the server
            with contextlib.suppress(
                ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError
            ):
                while await self._serve_one(reader, writer):
                    pass
        finally:
            writer.transport.abort()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first_byte = await reader.readexactly(1)
        if not first_byte.isalpha():  # a TLS handshake; servers of plain HTTP answer so
            return await _write(writer, Answer(400, b"no HTTP", cut_at=7), with_body=True)
        request = await _read_request(reader, first_byte)
        self.requests.append(request)
        answer = await self._handler(request)
        await asyncio.sleep(answer.delay_s)
        return await _write(writer, answer, with_body=request.method != "HEAD")


async def _read_request(reader: asyncio.StreamReader, first_byte: bytes) -> ReceivedRequest:
    head = (first_byte + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head[:_MAX_HEAD_BYTES].rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return ReceivedRequest(method, target, headers, body)


async def _write(writer: asyncio.StreamWriter, answer: Answer, *, with_body: bool) -> bool:
    if answer.raw is not None:
        writer.write(answer.raw)
        await writer.drain()
        writer.close()
        return False
    headers = dict(answer.headers)
    if answer.stream is None:
        headers.setdefault("Content-Length", str(len(answer.body)))
    else:
        headers.setdefault("Connection", "close")
    lines = [f"HTTP/1.1 {answer.status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join((*lines, "", "")).encode("latin-1"))
    if with_body:
        writer.write(answer.body[: answer.cut_at])
        async for chunk in answer.stream or _nothing():
            writer.write(chunk)
            await writer.drain()
    await writer.drain()
    if answer.cut_at is not None:
        writer.close()
        return False
    return answer.stream is None


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
