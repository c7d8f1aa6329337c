"""Holding the lease of a scan task, or of a poller, while a step runs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import datetime
from typing import Any, TypeVar

from scanguard.engine.context import EngineContext
from scanguard.engine.documents import Document
from scanguard.errors import BackendError

T = TypeVar("T")


class Lease:
    """A lease that was taken already; ``owner`` is the token that proves it."""

    def __init__(self, context: EngineContext, kind: type[Document], partition: str, owner: str) -> None:
        self._context = context
        self._kind = kind
        self._partition = partition
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
                stored = await self._context.store.update(self._kind, self._partition, "", self._renewed)
            except BackendError:
                continue  # the lease may end; whoever takes over finds the intent
            if stored is None or getattr(stored.document, "lease", "") != self._owner:
                return

    def _renewed(self, document: Document) -> tuple[Document, datetime] | None:
        if getattr(document, "lease", "") != self._owner:
            return None
        until = self._context.limits.lease_until(self._context.now())
        return document.model_copy(update={"lease_until": until}), until
