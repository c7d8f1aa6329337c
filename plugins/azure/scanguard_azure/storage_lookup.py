"""Answers one question about verdicts: the narrowest rows that lead to them, then the verdicts themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import islice
from typing import Any, Final

from pydantic import ValidationError

from scanguard import BackendError, RecordQuery, Verdict
from scanguard_azure.storage_bodies import StorageBodies
from scanguard_azure.storage_keys import partition_key, prefix_end, row_key
from scanguard_azure.storage_pointers import (
    Pointer,
    by_hour,
    by_image,
    by_resource,
    keys_for,
    matches,
    names_of,
    pointer_of,
)
from scanguard_azure.storage_tables import MAX_PAGE, StorageTable
from scanguard_azure.storage_vulnerabilities import Vulnerabilities

AT_ONCE: Final = 16
"""Verdicts read at once."""
_PREFIX: Final = 2
_READS: Final = 3


def verdict_partition(id: str) -> str:
    """Verdicts are spread by the first characters of their ids."""
    return partition_key("v", id[:_PREFIX])


class Lookup:
    """One question; what it has read it does not read again."""

    def __init__(
        self, table: StorageTable, bodies: StorageBodies, vulnerabilities: Vulnerabilities, query: RecordQuery
    ) -> None:
        self._table = table
        self._bodies = bodies
        self._vulnerabilities = vulnerabilities
        self._query = query
        self._verdicts: dict[str, Verdict | None] = {}
        self._latest: dict[str, str] = {}
        self._affected: frozenset[str] = frozenset()

    async def found(self) -> Sequence[Verdict]:
        """The verdicts that match, newest first."""
        query = self._query
        if query.limit < 1:
            return []
        if query.vulnerability is not None:
            self._affected = frozenset(await self._vulnerabilities.digests(query.vulnerability))
        if query.id is not None:
            return await self._by_id(query.id)
        found: list[Verdict] = []
        async for pointers in self._chunks():
            found += await self._followed(pointers)
            if len(found) >= query.limit:
                break
        return found[: query.limit]

    async def newest(self, resource: str, besides: str = "") -> Verdict | None:
        """The verdict on a deployment's newest observation, one of another assessment than ``besides``."""
        async for pointer in self._pointers("PartitionKey eq @at", {"at": by_resource(resource)}, 2):
            verdict = None if pointer.id == besides else await self._verdict(pointer)
            if verdict is not None:
                return verdict
        return None

    # --- where to look ------------------------------------------------------------------------------------

    async def _chunks(self) -> AsyncIterator[list[Pointer]]:
        """Pointers to whatever may match, the newest first."""
        query = self._query
        keys = (
            sorted(self._affected) if query.vulnerability is not None else keys_for(query.image) if query.image else []
        )
        if query.vulnerability is not None or query.image is not None:
            lists = await asyncio.gather(*(self._all(by_image(key)) for key in keys))
        elif query.resource is not None:
            lists = [await self._all(by_resource(query.resource))]
        else:
            async for chunk in self._by_time():
                yield chunk
            return
        led = (pointer for pointers in lists for pointer in pointers if pointer.may_match(query))
        distinct = {(pointer.decided_at, pointer.id): pointer for pointer in led}  # stale ones may be left
        ordered = iter([distinct[when] for when in sorted(distinct, reverse=True)])
        while chunk := list(islice(ordered, AT_ONCE)):
            yield chunk

    async def _all(self, partition: str) -> list[Pointer]:
        return [one async for one in self._pointers("PartitionKey eq @at", {"at": partition}, MAX_PAGE)]

    async def _by_time(self) -> AsyncIterator[list[Pointer]]:
        given = {"first": partition_key("t", ""), "end": prefix_end(partition_key("t", ""))}
        if self._query.since is not None:
            given["end"] = prefix_end(by_hour(self._query.since))
        size = min(MAX_PAGE, max(AT_ONCE, self._query.limit))
        chunk: list[Pointer] = []
        async for pointer in self._pointers("PartitionKey ge @first and PartitionKey lt @end", given, size):
            if pointer.may_match(self._query):
                chunk.append(pointer)
            if len(chunk) >= min(AT_ONCE, self._query.limit):
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    async def _pointers(self, wanted: str, given: dict[str, str], size: int) -> AsyncIterator[Pointer]:
        async for entity in self._table.rows(wanted, given, size):
            yield pointer_of(entity)

    async def _by_id(self, id: str) -> Sequence[Verdict]:
        first = partition_key("v", id[:_PREFIX])
        given = {"first": first, "end": prefix_end(first), "key": row_key(id), "last": prefix_end(row_key(id))}
        wanted = "PartitionKey ge @first and PartitionKey lt @end and RowKey ge @key and RowKey lt @last"
        if len(id) >= _PREFIX:
            wanted = "PartitionKey eq @first and RowKey ge @key and RowKey lt @last"
            given.pop("end")
        read = [await self._parsed(entity) async for entity in self._table.rows(wanted, given, MAX_PAGE)]
        found = [one for one in read if one is not None and await self._is_wanted(one)]
        return sorted(found, key=lambda one: (one.decided_at, one.id), reverse=True)[: self._query.limit]

    # --- the verdicts themselves --------------------------------------------------------------------------

    async def _followed(self, pointers: Sequence[Pointer]) -> list[Verdict]:
        verdicts = await asyncio.gather(*(self._verdict(pointer) for pointer in pointers))
        return [one for one in verdicts if one is not None and await self._is_wanted(one)]

    async def _is_wanted(self, verdict: Verdict) -> bool:
        query = self._query
        if not matches(verdict, query):
            return False
        if query.vulnerability is not None and not any(
            self._affected & names_of(image) for image in verdict.images if image.image is not None
        ):
            return False
        if not query.latest_only and query.vulnerability is None:
            return True
        return await self._latest_of(verdict.deployment.resource_id) == verdict.id

    async def _latest_of(self, resource: str) -> str:
        key = resource.lower()
        if key not in self._latest:
            found = await self.newest(resource)
            self._latest[key] = "" if found is None else found.id
        return self._latest[key]

    async def _verdict(self, pointer: Pointer) -> Verdict | None:
        """The verdict a pointer leads to; None when it is stale: the verdict is gone or was decided anew since."""
        if pointer.id not in self._verdicts:
            self._verdicts[pointer.id] = await self._read(pointer.id)
        found = self._verdicts[pointer.id]
        return found if found is not None and found.decided_at == pointer.decided_at else None

    async def _read(self, id: str) -> Verdict | None:
        for _ in range(_READS):
            entity = await self._table.get(verdict_partition(id), row_key(id))
            if entity is None:
                return None
            verdict = await self._parsed(entity)
            if verdict is not None:
                return verdict
        raise BackendError(f"the body of the verdict {id} is missing", target=id)

    async def _parsed(self, entity: Any) -> Verdict | None:  # noqa: ANN401  # TableEntity
        text = await self._bodies.unpack(entity)
        try:
            return None if text is None else Verdict.model_validate_json(text)
        except ValidationError as exc:
            row = f"{entity['PartitionKey']}/{entity['RowKey']}"
            raise BackendError(f"the verdict in the row {row} cannot be read; is it of a newer scanguard?") from exc
