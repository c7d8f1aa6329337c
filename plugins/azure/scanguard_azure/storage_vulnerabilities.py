"""Which image has which vulnerability: a list for each digest, which is the truth, and rows that lead to it by id."""

from __future__ import annotations

import asyncio
import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from scanguard.tokens import unique_token
from scanguard_azure.storage_bodies import BLOB, StorageBodies, json_text
from scanguard_azure.storage_keys import HASHED, encoded, partition_key
from scanguard_azure.storage_tables import MAX_PAGE, StorageTable

BUCKETS: Final = 4
"""Partitions of the rows by id: few enough that a long list is few requests, each of a hundred rows."""
MAX_ID: Final = 200
_LIST: Final = "k"


class Vulnerabilities:
    """Remembers and answers. Rows that lead to a digest are never removed: whoever follows one reads the list."""

    def __init__(self, table: StorageTable, bodies: StorageBodies) -> None:
        self._table = table
        self._bodies = bodies

    async def remember(self, digest: str, ids: Sequence[str]) -> None:
        """Replace an image's list; new rows first, then the list."""
        wanted = {id.upper() for id in ids}
        stored = await self._table.get(partition_key("d", digest), _LIST)
        known = set() if stored is None else await self._list(stored)
        if stored is not None and known == wanted:
            return
        buckets: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for id in sorted(wanted - known):
            bucket = _bucket(id)
            buckets[bucket].append({"PartitionKey": bucket, "RowKey": f"{_cut(id)}|{_cut(digest)}", "Digest": digest})
        await asyncio.gather(*(self._table.put_all(rows) for rows in buckets.values()))
        body = await self._bodies.pack(json_text(sorted(wanted)), f"{unique_token()}.json")
        await self._table.put({"PartitionKey": partition_key("d", digest), "RowKey": _LIST, **body})
        if stored is not None:
            await self._bodies.drop(stored.get(BLOB, ""))

    async def digests(self, id: str) -> list[str]:
        """Images that have it."""
        id = id.upper()
        given = {"bucket": _bucket(id), "first": f"{_cut(id)}|", "end": f"{_cut(id)}}}"}
        wanted = "PartitionKey eq @bucket and RowKey ge @first and RowKey lt @end"
        led = [str(row["Digest"]) async for row in self._table.rows(wanted, given, MAX_PAGE)]
        have = await asyncio.gather(*(self._has(digest, id) for digest in led))
        return [digest for digest, has in zip(led, have, strict=True) if has]

    async def _has(self, digest: str, id: str) -> bool:
        stored = await self._table.get(partition_key("d", digest), _LIST)
        return stored is not None and id in await self._list(stored)

    async def _list(self, entity: Any) -> set[str]:  # noqa: ANN401  # TableEntity
        text = await self._bodies.unpack(entity)
        return set() if text is None else set(json.loads(text))


def _bucket(id: str) -> str:
    return partition_key("x", f"{zlib.crc32(id.encode('utf-8', 'surrogatepass')) % BUCKETS:02d}")


def _cut(text: str) -> str:
    whole = encoded(text)
    return whole if len(whole) <= MAX_ID else f"{whole[:100]}{HASHED}{hashlib.sha256(whole.encode()).hexdigest()}"
