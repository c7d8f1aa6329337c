"""Whether the process is up, and whether it can take events; both open, and silent about anything else."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse, Response

from scanguard.errors import BackendError
from scanguard.ports import Lane

if TYPE_CHECKING:
    from starlette.requests import Request

    from scanguard.ports import Backend

CACHE_S: Final = 1.0
"""Anybody may ask; the store is asked once a second at most."""
TIMEOUT_S: Final = 5.0
log = logging.getLogger("scanguard.server")


class Health:
    """Answers probes."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._is_well = False
        self.is_stopping = False

    async def live(self, request: Request) -> Response:
        """200 while the process answers at all."""
        return JSONResponse({"status": "up"})

    async def ready(self, request: Request) -> Response:
        """200 while the store answers; 503 otherwise, and while the service stops."""
        if self.is_stopping:
            return JSONResponse({"status": "stopping"}, 503)
        async with self._asking:
            if time.monotonic() - self._asked_at >= CACHE_S:
                self._is_well = await self._store_answers()
                self._asked_at = time.monotonic()
        return JSONResponse({"status": "ready"}) if self._is_well else JSONResponse({"status": "not ready"}, 503)

    async def _store_answers(self) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._backend.queue.next_visible(tuple(Lane))
        except (BackendError, TimeoutError) as exc:
            log.warning("not ready: %s", str(exc) or "the store takes too long")
            return False
        return True
