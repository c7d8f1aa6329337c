"""What every authenticated endpoint does first: who asks, may they, is there room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scanguard.errors import BackendError
from scanguard.server.problems import store_unavailable

if TYPE_CHECKING:
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

    @asynccontextmanager
    async def opened(self, request: Request, permission: Permission) -> AsyncIterator[Caller]:
        """Hold a slot for an authenticated request; RequestRefusedError with 401, 403, 429 or 503."""
        caller = await self.access.require(request, permission)
        request.scope["scanguard.caller"] = caller.name
        self.limits.admit()
        with self.slots.taken():
            yield caller

    @asynccontextmanager
    async def store(self) -> AsyncIterator[None]:
        """Bound the work with the store inside; 503 when it fails or takes too long."""
        try:
            async with asyncio.timeout(self.store_timeout_s):
                yield
        except BackendError as exc:
            raise store_unavailable(str(exc)) from exc
        except TimeoutError as exc:
            raise store_unavailable(f"the store took longer than {self.store_timeout_s:g} s") from exc
