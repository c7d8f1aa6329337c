"""Holding a scan task's lease while a step runs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar

from scanguard.engine.context import EngineContext
from scanguard.engine.documents import ScanTask
from scanguard.errors import BackendError

T = TypeVar("T")


class Lease:
    """A task's lease, taken already; ``owner`` is the token that proves it."""

    def __init__(self, context: EngineContext, task: str, owner: str) -> None:
        self._context = context
        self._task = task
        self._owner = owner

    async def run(self, step: Coroutine[Any, Any, T]) -> T | None:
        """Run a step, renewing the lease; None when it was lost, or the scan was cancelled, and the step stopped."""
        working = asyncio.ensure_future(step)
        beating = asyncio.ensure_future(self._beat())
        try:
            await asyncio.wait({working, beating}, return_when=asyncio.FIRST_COMPLETED)
            return await working if working.done() else None
        finally:
            for one in (working, beating):
                one.cancel()
            await asyncio.wait({working, beating})

    async def _beat(self) -> None:
        """Renew until the lease is lost."""
        while True:
            await asyncio.sleep(self._context.limits.lease_s / 3)
            try:
                stored = await self._context.store.update(ScanTask, self._task, "", self._renewed)
            except BackendError:
                continue  # the lease may end; whoever takes over finds the intent
            if stored is None or stored.document.lease != self._owner:
                return

    def _renewed(self, task: ScanTask) -> tuple[ScanTask, datetime] | None:
        if task.lease != self._owner:
            return None
        until = self._context.limits.lease_until(self._context.now())
        return task.model_copy(update={"lease_until": until}), until
