"""A TCP proxy on loopback that fails as networks do: it cuts, refuses, waits, and swallows answers.

For tests of what talks to a real server: the request arrives and has its effect, and the answer does not come.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

_CHUNK: Final = 65_536
_RESET: Final = struct.pack("ii", 1, 0)
"""Closing then sends RST (SO_LINGER of no time)."""


@dataclass(eq=False)
class _Pair:
    """The two ends of one connection; ``doomed`` once a request came whose answer is to be swallowed."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    doomed: bool = False

    def reset(self) -> None:
        """End both, the client's by RST."""
        raw = self.client.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.client.transport.abort()
        self.server.transport.abort()


@dataclass
class FaultProxy:
    """Stands before a server on loopback while in ``async with``; ``port`` is where clients go.

    Attributes:
        target: The server's port.
        swallowed: Answers that never reached their client.
        delay_s: Each piece of an answer comes later by so much.
    """

    target: int
    port: int = 0
    swallowed: int = 0
    delay_s: float = 0.0
    _marks: list[bytes] = field(default_factory=list)
    _pairs: set[_Pair] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def swallow(self, mark: bytes, times: int = 1) -> None:
        """Deliver the next requests that hold ``mark``, and reset instead of answering."""
        self._marks += [mark] * times

    def relent(self) -> None:
        """Swallow nothing more."""
        self._marks.clear()

    def cut(self) -> None:
        """Reset every connection."""
        for pair in tuple(self._pairs):
            pair.reset()

    async def refuse(self) -> None:
        """Listen no more, and reset what is open."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self.cut()

    async def accept(self) -> None:
        """Listen, at the same port as before."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, requests = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(writer, requests)
        self._pairs.add(pair)
        tasks = [asyncio.create_task(self._forth(pair, reader)), asyncio.create_task(self._back(pair, answers))]
        self._tasks.update(tasks)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pairs.discard(pair)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks.difference_update(tasks)
            writer.close()
            requests.close()

    async def _forth(self, pair: _Pair, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_CHUNK):
                mark = next((one for one in self._marks if one in piece), None)
                if mark is not None:
                    self._marks.remove(mark)
                    pair.doomed = True
                pair.server.write(piece)
                await pair.server.drain()

    async def _back(self, pair: _Pair, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_CHUNK):
                if pair.doomed:
                    self.swallowed += 1
                    pair.reset()
                    return
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                pair.client.write(piece)
                await pair.client.drain()
