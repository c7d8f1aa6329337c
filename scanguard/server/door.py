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
    """Lets requests in, and bounds how long the store may take; seconds."""

    access: Access
    limits: RateLimits
    slots: Slots
    store_timeout_s: float

    def opened(self, request: Request, permission: Permission) -> Entry:
        """Hold a slot for an authenticated request; RequestRefusedError with 401, 403, 429 or 503."""
        return Entry(self, request, permission)

    def store(self) -> StoreTime:
        """Bound the work with the store inside; 503 when it fails or takes too long."""
        return StoreTime(self.store_timeout_s)


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


class StoreTime:
    """How long the store may take."""

    __slots__ = ("_limit", "_timeout_s")

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._limit = asyncio.timeout(timeout_s)

    async def __aenter__(self) -> None:
        """Begin."""
        await self._limit.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; the store's trouble becomes a 503."""
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError as exc:
            raise store_unavailable(f"the store took longer than {self._timeout_s:g} s") from exc
        if isinstance(error, BackendError):
            raise store_unavailable(str(error)) from error
