"""Rows in the two tables, written so that an older revision never replaces a newer one."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableEntity, UpdateMode

from scanguard_azure.results_errors import sink_errors
from scanguard_azure.storage_errors import code_of

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient

    from scanguard_azure.results_record import Record


class ResultRows:
    """The table by image, and the table by day."""

    def __init__(self, by_image: TableClient, by_day: TableClient) -> None:
        self._by_image = by_image
        self._by_day = by_day

    async def get(self, record: Record) -> TableEntity | None:
        """The row of a result, of whatever revision, or None."""
        with self._errors(self._by_image):
            try:
                return await self._by_image.get_entity(*record.key)
            except ResourceNotFoundError as exc:
                if code_of(exc) == "TableNotFound":
                    raise
                return None

    async def swap(self, record: Record, known: TableEntity | None) -> bool:
        """Write the row over the one that is known, or where there is none; False when it is another one by now."""
        entity = _entity(record.key, record) | {"RecentKey": "/".join(record.recent)}
        with self._errors(self._by_image):
            try:
                if known is None:
                    await self._by_image.create_entity(entity)
                else:
                    await self._by_image.update_entity(
                        entity,
                        mode=UpdateMode.REPLACE,
                        etag=known.metadata["etag"],
                        match_condition=MatchConditions.IfNotModified,
                    )
            except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as exc:
                if code_of(exc) == "TableNotFound":
                    raise
                return False
        return True

    async def strays(self, record: Record) -> list[TableEntity]:
        """Rows of the same scan of the image under other keys: a replay looked at the deployment at another time."""
        query, values = (
            "PartitionKey eq @image and ScanId eq @scan",
            {
                "image": record.key[0],
                "scan": record.columns["ScanId"],
            },
        )
        with self._errors(self._by_image):
            found = [row async for row in self._by_image.query_entities(query, parameters=values)]
        return [row for row in found if row["RowKey"] != record.key[1]]

    async def remove(self, row: TableEntity) -> None:
        """Remove a row by image; one that is gone, or is another by now, is left alone."""
        with self._errors(self._by_image), suppress(ResourceModifiedError, ResourceNotFoundError):
            await self._by_image.delete_entity(
                row["PartitionKey"],
                row["RowKey"],
                etag=row.metadata["etag"],
                match_condition=MatchConditions.IfNotModified,
            )

    async def put_recent(self, record: Record) -> None:
        """Write the row by day; only this revision has its key."""
        with self._errors(self._by_day):
            entity = _entity(record.recent, record) | {"ImageKey": "/".join(record.key)}
            await self._by_day.upsert_entity(entity, mode=UpdateMode.REPLACE)

    async def remove_recent(self, key: str) -> None:
        """Remove a row by day, by its two keys as a row keeps them; one that is gone is no error."""
        day, _, row = key.partition("/")
        with self._errors(self._by_day):
            try:
                await self._by_day.delete_entity(day, row)
            except HttpResponseError as exc:
                if exc.status_code != 404 or code_of(exc) == "TableNotFound":
                    raise

    def _errors(self, table: TableClient) -> AbstractContextManager[None]:
        return sink_errors("table", table.table_name)


def _entity(key: tuple[str, str], record: Record) -> dict[str, Any]:
    return {"PartitionKey": key[0], "RowKey": key[1], **record.columns}
