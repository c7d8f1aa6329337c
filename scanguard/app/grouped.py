"""Messages of many requests in one durable write: a commit costs the same for one message and for a hundred."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from scanguard.errors import BackendError
from scanguard.ports import Outgoing, Queue

MAX_MESSAGES: Final = 1_000
"""Most messages in one write, unless one caller gives more."""


@dataclass(frozen=True, slots=True)
class _Group:
    """What one caller sends, and where it waits."""

    messages: Sequence[Outgoing]
    sent: asyncio.Future[None]


class GroupedSender:
    """Sends to a queue; what comes while a write is under way goes together into the next one.

    Nobody waits longer for that than for a turn of their own: the store does one write at a time.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._waiting: deque[_Group] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Make messages durable. Cancelling gives up the waiting; what was to be sent may still be."""
        if not messages:
            return
        group = _Group(messages, asyncio.get_running_loop().create_future())
        self._waiting.append(group)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await group.sent

    async def aclose(self) -> None:
        """Wait for the writes under way."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

    async def _write(self) -> None:
        while self._waiting:
            groups = self._taken()
            try:
                await self._queue.send([message for group in groups for message in group.messages])
            except BackendError as exc:  # the store's fault, so everybody's
                _fail(groups, exc)
            except Exception as exc:
                if len(groups) == 1:
                    _fail(groups, exc)
                else:
                    await self._write_apart(groups)
            else:
                for group in groups:
                    if not group.sent.done():
                        group.sent.set_result(None)

    async def _write_apart(self, groups: Sequence[_Group]) -> None:
        """One message that cannot be written must not keep the others from it."""
        for group in groups:
            try:
                await self._queue.send(group.messages)
            except Exception as exc:
                _fail([group], exc)
            else:
                if not group.sent.done():
                    group.sent.set_result(None)

    def _taken(self) -> list[_Group]:
        groups = [self._waiting.popleft()]
        count = len(groups[0].messages)
        while self._waiting and (count := count + len(self._waiting[0].messages)) <= MAX_MESSAGES:
            groups.append(self._waiting.popleft())
        return groups


def _fail(groups: Sequence[_Group], exc: Exception) -> None:
    for group in groups:
        if not group.sent.done():
            group.sent.set_exception(exc)
