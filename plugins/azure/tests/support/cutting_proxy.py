"""A network that dies after a number of requests, over the ports of several services together: a worker's death.

Each connection is forwarded as it is until then; the request that comes next is lost, and so is every later one.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from types import TracebackType
from typing import Self

_REQUEST = re.compile(rb"(?:^|\n)(?:GET|HEAD|PUT|POST|DELETE|MERGE|PATCH) \S+ HTTP/1\.1\r\n")


class Network:
    """What all proxies of a test share: requests are counted together, in the order in which they come."""

    def __init__(self, die_after: int) -> None:
        self.requests = 0
        self.die_after = die_after

    @property
    def is_dead(self) -> bool:
        return self.requests > self.die_after


class CuttingProxy:
    """One port."""

    def __init__(self, network: Network, port: int) -> None:
        self._network = network
        self._upstream = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection("127.0.0.1", self._upstream)
            back = asyncio.create_task(self._back(answers, writer))
            self._tasks.add(back)
            await self._forth(reader, upstream)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            for one in (writer, upstream):
                if one is not None:
                    one.close()

    async def _forth(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            self._network.requests += len(_REQUEST.findall(data))
            if self._network.is_dead:
                return
            upstream.write(data)
            await upstream.drain()

    async def _back(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await answers.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()
