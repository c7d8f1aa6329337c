"""What every authenticated endpoint does first: who asks, may they, is there room.

Written as classes: every event passes here, and a generator made into a context manager costs several times as much.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanguard.errors import BackendError
from scanguard.server.problems import store_unavailable

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.requests import Request

    from scanguard.server.access import Access
    from scanguard.server.caller import Caller
    from scanguard.server.limits import RateLimits, Slots
    from scanguard.settings.server import Permission


@dataclass(frozen=True, slots=True)
class Door:
    """Lets requests in, and bounds how long the store may take."""

    access: Access
    limits: RateLimits
    slots: Slots
    store_limit: StoreLimit

    def opened(self, request: Request, permission: Permission) -> Entry:
        """Hold a slot for an authenticated request; RequestRefusedError with 401, 403, 429 or 503."""
        return Entry(self, request, permission)

    def store(self) -> StoreTime:
        """Bound the work with the store inside; 503 when it fails or takes too long."""
        return StoreTime(self.store_limit)


class Entry:
    """An authenticated request's way in, and out."""

    __slots__ = ("_door", "_permission", "_request")

    def __init__(self, door: Door, request: Request, permission: Permission) -> None:
        self._door = door
        self._request = request
        self._permission = permission

    async def __aenter__(self) -> Caller:
        """Let in whoever may."""
        caller = await self._door.access.require(self._request, self._permission)
        self._request.scope["scanguard.caller"] = caller.name
        self._door.limits.admit()
        self._door.slots.take()
        return caller

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the slot back."""
        self._door.slots.give_back()


class StoreLimit:
    """How long the store may take, in seconds. One timer looks after all: one for each costs as much as parsing does.

    Whoever began first is late first, so the timer is set for the first of those who wait.
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._since: dict[StoreTime, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, work: StoreTime) -> None:
        """Look after this, too."""
        loop = asyncio.get_running_loop()
        self._since[work] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self.limit_s, self._look)

    def end(self, work: StoreTime) -> bool:
        """It has ended; whether it was late, and cancelled for that."""
        return self._since.pop(work, None) is None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        for work, since in list(self._since.items()):
            if since + self.limit_s > loop.time():
                self._timer = loop.call_at(since + self.limit_s, self._look)
                return
            del self._since[work]
            work.task.cancel()


class StoreTime:
    """Work with the store within its limit."""

    __slots__ = ("_cancelling", "_limit", "task")

    def __init__(self, limit: StoreLimit) -> None:
        self._limit = limit

    async def __aenter__(self) -> None:
        """Begin."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be held to a limit")
        self.task = task
        self._cancelling = task.cancelling()
        self._limit.begin(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; the store's trouble becomes a 503. Somebody else's cancelling stays one, as in ``asyncio.timeout``."""
        if self._limit.end(self) and self.task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise store_unavailable(f"the store took longer than {self._limit.limit_s:g} s") from error
        if isinstance(error, BackendError):
            raise store_unavailable(str(error)) from error
