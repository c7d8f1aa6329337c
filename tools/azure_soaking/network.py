"""The network between workers and storage: it cuts connections, swallows answers, and puts every message in twice."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fault_proxy import FaultProxy

CHUNK: Final = 65_536
ANY: Final = b" HTTP/1.1\r\n"
_PUT: Final = re.compile(rb"POST /[^/ ]+/[^/ ]+/messages\?")
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass
class TappingProxy(FaultProxy):
    """Looks at whole requests while they pass."""

    def passing(self, request: bytes) -> None:
        """A request went by."""

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tapped = asyncio.StreamReader(limit=CHUNK)
        tapping = asyncio.create_task(self._tap(reader, tapped))
        try:
            await super()._connected(tapped, writer)
        finally:
            tapping.cancel()
            await asyncio.gather(tapping, return_exceptions=True)

    async def _tap(self, reader: asyncio.StreamReader, tapped: asyncio.StreamReader) -> None:
        """Hand everything on, and look for whole requests."""
        seen = bytearray()
        try:
            while piece := await reader.read(CHUNK):
                seen += piece
                tapped.feed_data(piece)
                while request := _whole(seen):
                    self.passing(request)
        except OSError:
            pass
        finally:
            tapped.feed_eof()


@dataclass
class CountingProxy(TappingProxy):
    """Counts requests by their method."""

    requests: Counter[str] = field(default_factory=Counter)

    def passing(self, request: bytes) -> None:
        """Count it."""
        self.requests[request.partition(b" ")[0].decode()] += 1


@dataclass
class DoublingProxy(TappingProxy):
    """Stands before the queues; each message that is put in is put in once more, over a connection of its own.

    Both have the same text and become visible at the same time, so whoever takes them may do so at the same moment.
    """

    doubled: int = 0
    _twins: set[asyncio.Task[None]] = field(default_factory=set)

    def passing(self, request: bytes) -> None:
        """Put a message in again."""
        if _PUT.match(request):
            twin = asyncio.create_task(self._again(request))
            self._twins.add(twin)
            twin.add_done_callback(self._twins.discard)

    async def _again(self, request: bytes) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(10):
                answers, requests = await asyncio.open_connection("127.0.0.1", self.target)
                try:
                    requests.write(request)
                    answer = await answers.readline()
                finally:
                    requests.transport.abort()
                self.doubled += b" 201 " in answer


def _whole(seen: bytearray) -> bytes:
    """Take the first whole request off; empty when there is none yet."""
    end = seen.find(b"\r\n\r\n")
    if end < 0:
        return b""
    length = _LENGTH.search(seen, 0, end + 2)
    size = end + 4 + (int(length[1]) if length else 0)
    if len(seen) < size:
        return b""
    request = bytes(seen[:size])
    del seen[:size]
    return request


@dataclass
class Weather:
    """Disturbs the proxies of the services, at random."""

    proxies: Mapping[str, FaultProxy]
    chance: random.Random
    every_s: float
    cuts: int = 0

    async def blow(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self.every_s * self.chance.uniform(0.1, 1.9))
            proxy = self.chance.choice([*self.proxies.values()])
            if self.chance.random() < 0.5:
                proxy.cut()
                self.cuts += 1
            else:
                proxy.swallow(ANY, self.chance.randint(1, 4))

    @property
    def swallowed(self) -> int:
        """Answers that never reached who had asked."""
        return sum(proxy.swallowed for proxy in self.proxies.values())

    def calm(self) -> None:
        """Swallow nothing more."""
        for proxy in self.proxies.values():
            proxy.relent()
