"""State rows in Table Storage, swapped by their ETags; which are due stands in a table beside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from scanguard import BackendError, ConflictError, Row
from scanguard.tokens import unique_token
from scanguard_azure.storage_bodies import BLOB, StorageBodies, json_text
from scanguard_azure.storage_due import DueIndex, Entry
from scanguard_azure.storage_keys import HASHED, decoded, partition_key, row_key
from scanguard_azure.storage_tables import StorageTable

_READS: Final = 3
_MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class _Version:
    """What :attr:`Row.etag` says: the service's ETag, the entry among what is due, the blob of a large body."""

    etag: str
    entry: str = ""
    blob: str = ""

    @classmethod
    def parse(cls, text: str) -> _Version:
        etag, _, rest = text.partition(" ")
        entry, _, blob = rest.partition(" ")
        return cls(etag, entry, blob)

    def __str__(self) -> str:
        return f"{self.etag} {self.entry} {self.blob}"


class StorageState:
    """:class:`~scanguard.ports.StateStore` in the table ``State``."""

    def __init__(self, table: StorageTable, due: DueIndex, bodies: StorageBodies) -> None:
        self._table = table
        self._due = due
        self._bodies = bodies

    async def get(self, table: str, partition: str, key: str = "") -> Row | None:
        """The row, or None."""
        return await self._read(partition_key(table, partition), row_key(key))

    async def insert(self, row: Row) -> Row:
        """Create, or ConflictError."""
        return await self._written(row, _Version(""))

    async def replace(self, row: Row) -> Row:
        """Write over the version read, or ConflictError."""
        if not row.etag:
            raise _conflict(row, "was never read")
        return await self._written(row, _Version.parse(row.etag))

    async def delete(self, row: Row) -> None:
        """Remove the version read, or any when no etag is given."""
        at, version = _place(row), _Version.parse(row.etag)
        if await self._table.delete(*at, version.etag):
            await self._forgotten(at, version, _Version(""))

    async def page(self, table: str, partition: str, *, after: str = "", limit: int = 100) -> Sequence[Row]:
        """Rows of a partition in key order."""
        given = {"partition": partition_key(table, partition), "after": row_key(after)}
        found: list[Row] = []
        async for entity in self._table.rows("PartitionKey eq @partition and RowKey gt @after", given, limit):
            if len(found) >= limit:
                break
            row = await self._row(entity) or await self._read(entity["PartitionKey"], entity["RowKey"])
            found += [] if row is None else [row]
        return found

    async def overdue(self, before: datetime, *, limit: int = 100) -> Sequence[Row]:
        """Rows due at or before a moment, oldest first."""
        return await self._due.overdue(before, limit, self._named_by)

    async def _named_by(self, entry: Entry) -> Row | None:
        row = await self._read(entry.partition, entry.row)
        return row if row is not None and _Version.parse(row.etag).entry == entry.key else None

    async def _written(self, row: Row, old: _Version) -> Row:
        """The entry first, then the row, then what the row names no more."""
        at = _place(row)
        began = asyncio.get_running_loop().time()
        entry = await self._due.covering(*at, row.due, old.entry)
        body = await self._bodies.pack(json_text(row.body), f"{unique_token()}.json")
        entity = {"PartitionKey": at[0], "RowKey": at[1], **_address(row, at[0]), **body}
        if row.due is not None:
            entity |= {"Due": row.due.isoformat(), "Entry": entry}
        new = _Version("", entry, str(body.get(BLOB, "")))
        try:
            written = await self._table.swap(entity, old.etag)
        except ConflictError:
            await self._forgotten(at, new, old)
            raise _conflict(row, "is already there" if not old.etag else "was changed by somebody else") from None
        if entry != old.entry and asyncio.get_running_loop().time() - began > _MINUTE_S:
            await self._due.covering(*at, row.due, "")
        await self._forgotten(at, old, new)
        return replace(row, etag=str(replace(new, etag=written)))

    async def _forgotten(self, at: tuple[str, str], gone: _Version, kept: _Version) -> None:
        if gone.entry != kept.entry:
            await self._due.drop(*at, gone.entry)
        if gone.blob != kept.blob:
            await self._bodies.drop(gone.blob)

    async def _read(self, partition: str, key: str) -> Row | None:
        for _ in range(_READS):
            entity = await self._table.get(partition, key)
            if entity is None:
                return None
            row = await self._row(entity)
            if row is not None:
                return row
        raise BackendError(f"the body of the row {partition}/{key} is missing", target=partition)

    async def _row(self, entity: Any) -> Row | None:  # noqa: ANN401  # TableEntity
        """The row; None when its large body went away meanwhile."""
        text = await self._bodies.unpack(entity)
        if text is None:
            return None
        version = _Version(entity.metadata["etag"], entity.get("Entry", ""), entity.get(BLOB, ""))
        due = entity.get("Due")
        try:
            return Row(
                *_names(entity), json.loads(text), None if due is None else datetime.fromisoformat(due), str(version)
            )
        except (ValueError, KeyError) as exc:
            row = f"{entity['PartitionKey']}/{entity['RowKey']}"
            raise BackendError(f"the row {row} cannot be read: it is damaged or none of ours") from exc


def _place(row: Row) -> tuple[str, str]:
    return partition_key(row.table, row.partition), row_key(row.key)


def _address(row: Row, partition: str) -> dict[str, str]:
    """What a cut partition key does not say."""
    return {"Partition": json_text(row.partition)} if HASHED in partition else {}


def _names(entity: Any) -> tuple[str, str, str]:  # noqa: ANN401  # TableEntity
    table, _, partition = entity["PartitionKey"].partition("|")
    name = json.loads(entity["Partition"]) if HASHED in partition else decoded(partition)
    return decoded(table), name, decoded(entity["RowKey"][1:])


def _conflict(row: Row, what: str) -> ConflictError:
    return ConflictError(f"row {row.table}/{row.partition}/{row.key} {what}", target=row.partition)
