"""Who is told of every request that goes out; nobody by default."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class Exchange(Protocol):
    """One request on its way."""

    def answered(self, status: int) -> None:
        """The status of the answer; its body is still to be read."""


class Watch(Protocol):
    """Is told of requests. An exception that leaves the block is that of the request."""

    def request(self, method: str, url: str, resend: int) -> AbstractContextManager[Exchange]:
        """A request is sent; ``resend`` counts how often before. ``url`` is whole: show what may be shown."""
