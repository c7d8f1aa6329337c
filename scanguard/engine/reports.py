"""Merged reports, read once: a name never changes its content, so what was read lately is kept."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final
from weakref import WeakValueDictionary

from scanguard.model.merged import MergedReport
from scanguard.ports import ReportStore

MAX_KEPT_BYTES: Final = 16 * 1024 * 1024
"""Stored size of the merged reports that one engine keeps; one above a quarter of it is read each time."""


class MergedReports:
    """The merged reports of a store."""

    def __init__(self, store: ReportStore) -> None:
        self._store = store
        self._kept: OrderedDict[str, tuple[MergedReport, int]] = OrderedDict()
        self._bytes = 0
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(self, name: str) -> MergedReport | None:
        """A stored merged report, or None."""
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name][0]
        data = await self._store.get(name)
        if data is None:
            return None
        merged = MergedReport.model_validate_json(data)
        self._keep(name, merged, len(data))
        return merged

    async def get_or_make(self, name: str, make: Callable[[], Awaitable[MergedReport]]) -> MergedReport:
        """The stored merged report, else what ``make`` gives, stored; of many who ask at once one makes it."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            merged = await self.get(name)
            if merged is None:
                merged = await make()
                await self._put(name, merged)
            return merged

    async def _put(self, name: str, merged: MergedReport) -> None:
        data = merged.model_dump_json().encode()
        await self._store.put(name, data)
        self._keep(name, merged, len(data))

    def _keep(self, name: str, merged: MergedReport, size: int) -> None:
        if size > MAX_KEPT_BYTES // 4 or name in self._kept:
            return
        self._kept[name] = (merged, size)
        self._bytes += size
        while self._bytes > MAX_KEPT_BYTES:
            _, (_, freed) = self._kept.popitem(last=False)
            self._bytes -= freed
