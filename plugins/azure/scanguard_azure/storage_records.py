"""Verdicts in Table Storage: each a row of its own, found by rows that point to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

from scanguard import BackendError, ConflictError, RecordQuery, Verdict
from scanguard.tokens import unique_token
from scanguard_azure.storage_bodies import BLOB, StorageBodies, json_text
from scanguard_azure.storage_keys import row_key
from scanguard_azure.storage_lookup import Lookup, verdict_partition
from scanguard_azure.storage_pointers import pointers_to
from scanguard_azure.storage_tables import StorageTable
from scanguard_azure.storage_vulnerabilities import Vulnerabilities

_SWAPS: Final = 10
Place = tuple[str, str]


class StorageRecords:
    """:class:`~scanguard.ports.Records` in the table ``Records``."""

    def __init__(self, table: StorageTable, bodies: StorageBodies) -> None:
        self._table = table
        self._bodies = bodies
        self._vulnerabilities = Vulnerabilities(table, bodies)

    async def save(self, verdict: Verdict) -> None:
        """Store, unless a higher revision is stored: pointers first, the verdict, then old pointers are removed."""
        place = (verdict_partition(verdict.id), row_key(verdict.id))
        pointers = pointers_to(verdict)
        stored = await self._table.get(*place) if verdict.revision > 1 else None
        for _ in range(_SWAPS):
            if stored is not None and int(stored["Revision"]) > verdict.revision:
                await self._drop(set(pointers) - set(_places(stored)))
                return
            await asyncio.gather(*(self._table.put(pointer) for pointer in pointers.values()))
            if await self._swapped(place, verdict, list(pointers), stored):
                await self._drop(set(_places(stored)) - set(pointers))
                return
            stored = await self._table.get(*place)
        raise BackendError(f"the verdict {verdict.id} is changed by others all the time; trying again later")

    async def _drop(self, places: set[Place]) -> None:
        await asyncio.gather(*(self._table.drop(*place) for place in places))

    async def _swapped(self, place: Place, verdict: Verdict, pointers: list[Place], stored: Any) -> bool:  # noqa: ANN401  # TableEntity or None
        body = await self._bodies.pack(verdict.model_dump_json(), f"{unique_token()}.json")
        entity = {
            "PartitionKey": place[0],
            "RowKey": place[1],
            "Revision": verdict.revision,
            "Pointers": json_text(pointers),
            **body,
        }
        try:
            await self._table.swap(entity, "" if stored is None else stored.metadata["etag"])
        except ConflictError:
            await self._bodies.drop(body.get(BLOB, ""))
            return False
        if stored is not None:
            await self._bodies.drop(stored.get(BLOB, ""))
        return True

    async def index(self, digest: str, vulnerabilities: Sequence[str]) -> None:
        """Replace what is known of an image."""
        await self._vulnerabilities.remember(digest, vulnerabilities)

    async def query(self, query: RecordQuery) -> Sequence[Verdict]:
        """The verdicts that match, newest first."""
        return await Lookup(self._table, self._bodies, self._vulnerabilities, query).found()

    async def previous(self, resource_id: str, before_id: str) -> Verdict | None:
        """The deployment's newest verdict of another assessment."""
        lookup = Lookup(self._table, self._bodies, self._vulnerabilities, RecordQuery())
        return await lookup.newest(resource_id, besides=before_id)


def _places(entity: Any) -> list[Place]:  # noqa: ANN401  # TableEntity or None
    if entity is None:
        return []
    return [(partition, key) for partition, key in json.loads(entity["Pointers"])]
