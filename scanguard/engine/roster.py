"""Which deployments a job that lists all of them has seen, so that those it lists no more are noticed.

A row for each, spread over shards by the hash of its id: no partition is hot, and each can be walked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar, Final

from scanguard.engine.documents import Document, stable_id
from scanguard.engine.store import Store, read_document
from scanguard.errors import ConflictError
from scanguard.model.base import Instant
from scanguard.ports import Row

SHARDS: Final = "0123456789abcdef"
PAGE: Final = 100
AT_ONCE: Final = 16
"""Rows that are written side by side."""


class RosterEntry(Document):
    """A deployment that was there: in which ``run`` of the job, or, with 0, known from an event at ``entered_at``."""

    TABLE: ClassVar[str] = "roster"

    job: str
    resource: str
    run: int = 0
    entered_at: Instant

    @property
    def address(self) -> tuple[str, str]:
        """Partition and key of the row."""
        return _address(self.job, self.resource)


class Roster:
    """The rosters of all jobs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def saw(self, job: str, resources: Sequence[str], run: int, now: datetime) -> None:
        """A run of the job listed these."""
        unique = {resource.lower(): resource for resource in resources}.values()
        entries = [RosterEntry(job=job, resource=resource, run=run, entered_at=now) for resource in unique]
        for start in range(0, len(entries), AT_ONCE):
            await _together([self._enter(entry) for entry in entries[start : start + AT_ONCE]])

    async def _enter(self, entry: RosterEntry) -> None:
        stored = await self._store.ensure(entry, None)
        if stored.document.run < entry.run:
            await self._store.update(
                RosterEntry, *entry.address, lambda known: (entry, None) if known.run < entry.run else None
            )

    async def know(self, job: str, resource: str, now: datetime) -> None:
        """An event told of this one."""
        with suppress(ConflictError):  # it is known already
            await self._store.insert(RosterEntry(job=job, resource=resource, entered_at=now), None)

    async def forget(self, job: str, resource: str) -> None:
        """It is gone."""
        await self._store.state.delete(Row(RosterEntry.TABLE, *_address(job, resource), {}))

    async def unseen(self, job: str, run: int, since: datetime, cursor: str) -> tuple[list[str], str]:
        """Resources, of one page, that neither this run listed nor an event told of since it began.

        Returns them, and where the next page starts; empty at the end.
        """
        shard, after = (cursor[:1], cursor[2:]) if cursor else (SHARDS[0], "")
        rows = await self._store.state.page(RosterEntry.TABLE, _shard(job, shard), after=after, limit=PAGE)
        entries = [read_document(RosterEntry, row) for row in rows]
        missing = [entry.resource for entry in entries if entry.run < run and entry.entered_at < since]
        if len(rows) == PAGE:
            return missing, f"{shard}:{rows[-1].key}"
        following = SHARDS[SHARDS.index(shard) + 1 :][:1]
        return missing, f"{following}:" if following else ""


def _address(job: str, resource: str) -> tuple[str, str]:
    """Partition and key; ids compare lower-cased."""
    key = stable_id("roster", resource.lower())
    return _shard(job, key[0]), key


def _shard(job: str, shard: str) -> str:
    return f"{job}:{shard}"


async def _together(calls: list[Coroutine[Any, Any, None]]) -> None:
    """Await all; when one ends badly, none of the others goes on."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
