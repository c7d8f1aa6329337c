"""Removes results by their rows by day: documents first if asked to, then rows by image, last the rows by day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableEntity, TableTransactionError, TransactionOperation

from scanguard_azure.parallel import in_parallel
from scanguard_azure.results_errors import sink_errors

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient

    from scanguard_azure.results_blobs import ResultBlobs

BATCH: Final = 100
"""Rows of one partition that one request may delete."""
_AT_ONCE: Final = 8
_NEVER: Final = 2**31
"""A revision above all others."""


@dataclass(frozen=True, slots=True)
class OldRow:
    """A row by day: its entity, and the keys of the row by image."""

    entity: TableEntity
    image: str
    row: str

    @property
    def name(self) -> str:
        """Its own keys, as the row by image names them."""
        return f"{self.entity['PartitionKey']}/{self.entity['RowKey']}"


class Removal:
    """Finds and removes old results."""

    def __init__(self, by_image: TableClient, by_day: TableClient, blobs: ResultBlobs) -> None:
        self._by_image = by_image
        self._by_day = by_day
        self._blobs = blobs

    async def oldest(self, before: str, after: str, limit: int) -> list[OldRow]:
        """Rows of days before ``before`` with keys beyond ``after``, in the order of their keys."""
        query, values = "PartitionKey ge @first and PartitionKey lt @before", {"first": after[:8], "before": before}
        rows: list[OldRow] = []
        with sink_errors("table", self._by_day.table_name):
            pages = self._by_day.query_entities(
                query, parameters=values, results_per_page=limit, select=["PartitionKey", "RowKey", "ImageKey"]
            )
            async for entity in pages:
                image, _, row = str(entity.get("ImageKey") or "").partition("/")
                found = OldRow(entity, image, row)
                if found.name > after:
                    rows.append(found)
                if len(rows) == limit:
                    break
        return rows

    async def remove(self, old: Sequence[OldRow], *, with_blobs: bool) -> None:
        """Remove results; what is gone already, or was judged again, is no error."""
        images: dict[str, list[OldRow]] = defaultdict(list)
        for one in old:
            images[one.image].append(one)

        async def remove(image: str) -> None:
            await self._remove_of_image(image, images[image], with_blobs=with_blobs)

        await in_parallel(remove, images, _AT_ONCE)
        await self._delete(self._by_day, [one.entity for one in old])

    async def _remove_of_image(self, image: str, old: Sequence[OldRow], *, with_blobs: bool) -> None:
        rows = await self._rows_of(image, {one.name: one for one in old})
        for path in [str(row.get("BlobPath") or "") for row in rows] if with_blobs else ():
            await self._blobs.remove_older(path, _NEVER)
        await self._delete(self._by_image, rows)

    async def _rows_of(self, image: str, old: Mapping[str, OldRow]) -> list[TableEntity]:
        """Those rows of an image that are named by the old ones, and name them."""
        keys = sorted(one.row for one in old.values())
        query = "PartitionKey eq @image and RowKey ge @first and RowKey le @last"
        values = {"image": image, "first": keys[0], "last": keys[-1]}
        columns = ["PartitionKey", "RowKey", "RecentKey", "BlobPath"]
        with sink_errors("table", self._by_image.table_name):
            found = self._by_image.query_entities(query, parameters=values, select=columns)
            return [row async for row in found if row.get("RecentKey") in old]

    async def _delete(self, table: TableClient, rows: Iterable[TableEntity]) -> None:
        partitions: dict[str, list[TableEntity]] = defaultdict(list)
        for row in rows:
            partitions[row["PartitionKey"]].append(row)
        with sink_errors("table", table.table_name):
            for found in partitions.values():
                for start in range(0, len(found), BATCH):
                    await _delete_batch(table, found[start : start + BATCH])


async def _delete_batch(table: TableClient, rows: Sequence[TableEntity]) -> None:
    """All at once; one by one when one of them is gone or changed, which stops the whole batch."""
    try:
        await table.submit_transaction([(TransactionOperation.DELETE, row, _unchanged(row)) for row in rows])
    except (TableTransactionError, ResourceNotFoundError, ResourceModifiedError) as exc:
        if exc.status_code not in (404, 412):
            raise
        for row in rows:
            with suppress(ResourceNotFoundError, ResourceModifiedError):
                await table.delete_entity(row["PartitionKey"], row["RowKey"], **_unchanged(row))


def _unchanged(row: TableEntity) -> dict[str, Any]:
    return {"etag": row.metadata["etag"], "match_condition": MatchConditions.IfNotModified}
