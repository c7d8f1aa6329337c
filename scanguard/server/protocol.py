"""uvicorn's HTTP/1.1 protocol with two limits more: connections at once, and time for a request's head.

uvicorn bounds the idle time between requests only; a client that opens connections and says nothing, or a byte
a minute, would keep them for ever.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from scanguard.server.body import WHOLE


class OneWrite(h11.Connection):
    """Gives an answer's head out with what follows it: one packet, not two, and one call of the kernel."""

    _head = b""

    def send(self, event: h11.Event) -> bytes | None:  # type: ignore[override]  # h11 says it by overloads
        """The bytes to write now."""
        data = super().send(event)
        if isinstance(event, h11.Response):
            self._head = data or b""
            return b""  # nothing is written for that
        if self._head and data is not None:
            data, self._head = self._head + data, b""
        return data


class GuardedProtocol(H11Protocol):
    """One connection; a subclass made by :func:`guarded_protocol` has the limits."""

    max_connections: ClassVar[int]
    header_timeout_s: ClassVar[float]
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """Take the connection, or end it at once when there are too many."""
        super().connection_made(transport)
        size = self.config.h11_max_incomplete_event_size
        self.conn = OneWrite(h11.SERVER) if size is None else OneWrite(h11.SERVER, size)
        if len(self.connections) > self.max_connections:
            transport.abort()
            return
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Read on; a request that began must get its head through in time.

        What follows an answer given early, such as the rest of a body that was too large, is read and dropped,
        in the same time.
        """
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._disarm()
            if not self.cycle.more_body:
                self.scope[WHOLE] = True  # type: ignore[typeddict-unknown-key]  # ours
        elif before is None or before.response_complete:
            self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._disarm()
        super().connection_lost(exc)

    def _arm(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.header_timeout_s, self._too_slow)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.abort()


def guarded_protocol(max_connections: int, header_timeout_s: float) -> type[GuardedProtocol]:
    """The protocol with these limits; uvicorn makes one object per connection and passes nothing of ours."""
    limits = {"max_connections": max_connections, "header_timeout_s": header_timeout_s}
    return type("LimitedProtocol", (GuardedProtocol,), limits)
