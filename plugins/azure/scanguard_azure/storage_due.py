"""Which rows are due, and when: a table of its own, for tables have no second index.

Every row of state that is due has an entry, written *before* the row and named by it, a little earlier than the row is
due: so a row whose time moves a little keeps its entry, and a crash between the two writes leaves an entry too many,
never a row without one. Whoever reads verifies each entry against its row. Entries that rows name no more are removed
many at once; what a crash left over is removed when it is found, once it is older than any write can take.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from scanguard import Clock, Row
from scanguard.tokens import unique_token
from scanguard_azure.storage_keys import ascending, from_micros
from scanguard_azure.storage_tables import StorageTable

SHARDS: Final = 4
"""Partitions; a partition takes 2,000 entries a second. Part of the layout: to change it is to lose rows from view."""
EARLY: Final = timedelta(seconds=25)
"""How long before its row is due a new entry stands; from then on, each look reads the row."""
SLACK: Final = timedelta(seconds=75)
"""A row keeps its entry while that stands no longer before the row's time."""
GRACE: Final = timedelta(minutes=15)
"""An entry that no row names is removed when it is older; a row is written within seconds after its entry."""
_VERIFIED_AT_ONCE: Final = 32
_KEPT: Final = 50
"""Entries of a shard that are gathered before they are removed in one request."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: where it is, the row it is about, and when it was written, by the service's clock."""

    shard: str
    key: str
    partition: str
    row: str
    written: datetime | None = None

    @property
    def at(self) -> datetime:
        """No later than the row is due."""
        return from_micros(int(self.key[:18]))


Verify = Callable[[Entry], Awaitable[Row | None]]
"""Reads the row that an entry is about; None when it names another entry, or none, or is gone."""


class DueIndex:
    """Entries of rows that are due."""

    def __init__(self, table: StorageTable, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._gone: dict[str, list[str]] = defaultdict(list)

    async def covering(self, partition: str, row: str, due: datetime | None, known: str) -> str:
        """The key of an entry for a row that will be due: the one it has, if it will do, else a new one; or ``""``."""
        if due is None:
            return ""
        if known and timedelta(0) <= due - from_micros(int(known[:18])) <= SLACK:
            return known
        key = f"{ascending(due - EARLY)}-{unique_token()}"
        shard = shard_of(partition, row)
        await self._table.put({"PartitionKey": shard, "RowKey": key, "Partition": partition, "Row": row})
        return key

    async def drop(self, partition: str, row: str, key: str) -> None:
        """Remove an entry that its row names no more, now or with others."""
        if not key:
            return
        shard = shard_of(partition, row)
        self._gone[shard].append(key)
        if len(self._gone[shard]) >= _KEPT:
            await self.tidy(shard)

    async def tidy(self, *shards: str) -> None:
        """Remove what was gathered; what cannot be removed is found and removed later."""
        gathered = {shard: self._gone.pop(shard, []) for shard in shards or tuple(self._gone)}
        await asyncio.gather(*(self._table.drop_all(shard, keys) for shard, keys in gathered.items() if keys))

    async def overdue(self, before: datetime, limit: int, verify: Verify) -> list[Row]:
        """Rows due at or before a moment, oldest first."""
        await self.tidy()
        found: list[Row] = []
        async for entries in self._until(before, min(max(limit, 1), _VERIFIED_AT_ONCE)):
            if len(found) >= limit and entries[0].at > _due(found[limit - 1]):
                break
            rows = await asyncio.gather(*(self._verified(entry, verify) for entry in entries))
            found = sorted((*found, *(row for row in rows if row is not None and _due(row) <= before)), key=_due)
        return found[:limit]

    async def _verified(self, entry: Entry, verify: Verify) -> Row | None:
        row = await verify(entry)
        if row is None and entry.written is not None and self._clock.now() - entry.written > GRACE:
            await self.drop(entry.partition, entry.row, entry.key)
        return row

    async def _until(self, before: datetime, size: int) -> AsyncIterator[list[Entry]]:
        """Entries of all shards, oldest first, in chunks."""
        streams = [self._stream(f"due{n}", before, size) for n in range(SHARDS)]
        heads = list(await asyncio.gather(*(anext(stream, None) for stream in streams)))
        chunk: list[Entry] = []
        while any(head is not None for head in heads):
            first = min((n for n, head in enumerate(heads) if head is not None), key=lambda n: _key(heads[n]))
            entry = heads[first]
            if entry is not None:
                chunk.append(entry)
            heads[first] = await anext(streams[first], None)
            if len(chunk) >= size:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    async def _stream(self, shard: str, before: datetime, size: int) -> AsyncIterator[Entry]:
        """Entries of one shard, oldest first."""
        given = {"shard": shard, "end": ascending(before + timedelta(microseconds=1))}
        async for entity in self._table.rows("PartitionKey eq @shard and RowKey lt @end", given, size):
            yield _entry(entity)


def _entry(entity: Any) -> Entry:  # noqa: ANN401  # TableEntity, whose metadata is an attribute
    return Entry(
        entity["PartitionKey"], entity["RowKey"], entity["Partition"], entity["Row"], entity.metadata.get("timestamp")
    )


def shard_of(partition: str, row: str) -> str:
    """The partition of a row's entries."""
    return f"due{zlib.crc32(f'{partition}/{row}'.encode()) % SHARDS}"


def _key(entry: Entry | None) -> str:
    return "" if entry is None else entry.key


def _due(row: Row) -> datetime:
    return row.due if row.due is not None else datetime.max.replace(tzinfo=from_micros(0).tzinfo)
