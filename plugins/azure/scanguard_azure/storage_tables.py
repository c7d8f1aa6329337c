"""What every table needs: one row by its key, rows of a range page by page, and a swap that knows its own writes.

A write that got no answer, or was tried again by the library and then refused, may have been ours all the same: every
swap carries a token, and the row is read again before anybody is told of a conflict.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from scanguard import BackendError, ConflictError
from scanguard.tokens import unique_token
from scanguard_azure.storage_clients import StorageClients
from scanguard_azure.storage_errors import MISSING_CODES, code_of, may_have_happened, status_of

if TYPE_CHECKING:
    from azure.data.tables import TableEntity
    from azure.data.tables.aio import TableClient

CONFLICTS: Final = frozenset({404, 409, 412})
TOKEN: Final = "Token"  # noqa: S105  # a property's name
MAX_PAGE: Final = 1000
MAX_BATCH: Final = 100
_RETRIED: Final[dict[str, Any]] = {"retry_on_methods": frozenset({"POST", "PUT", "GET", "DELETE", "HEAD"})}
"""By itself the library tries no POST again, for it might have had its effect; ours may have it twice."""


class StorageTable:
    """One table of the account; ``name`` is ``State``, ``Due`` or ``Records``. Every method raises BackendError."""

    def __init__(self, clients: StorageClients, name: str) -> None:
        self._clients = clients
        self._name = name

    async def get(self, partition: str, key: str) -> TableEntity | None:
        """The row, or None."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  # loaded with the clients

        async def read(table: TableClient) -> TableEntity | None:
            try:
                return await table.get_entity(partition, key)
            except ResourceNotFoundError as exc:
                if code_of(exc) in MISSING_CODES:
                    raise
                return None

        return await self._clients.table(self._name, read)

    async def swap(self, entity: Mapping[str, Any], etag: str = "") -> str:
        """Create, or write over the version read; the new ETag. ConflictError when another was first."""
        from azure.core import MatchConditions  # noqa: PLC0415  # loaded with the clients

        mine = {**entity, TOKEN: unique_token()}

        async def write(table: TableClient) -> str:
            if not etag:
                return _etag_of(await table.create_entity(mine, **_RETRIED))
            condition = MatchConditions.IfNotModified
            return _etag_of(await table.update_entity(mine, mode="replace", etag=etag, match_condition=condition))

        try:
            return await self._clients.table(self._name, write)
        except BackendError as exc:
            is_refused = status_of(exc.__cause__) in CONFLICTS
            if not is_refused and not may_have_happened(exc.__cause__):
                raise
            stored = await self.get(mine["PartitionKey"], mine["RowKey"])
            found = "" if stored is None else str(stored.metadata["etag"])
            if stored is not None and stored.get(TOKEN) == mine[TOKEN]:
                return found
            if is_refused or found != etag:
                raise ConflictError("another was first", target=mine["PartitionKey"]) from exc
            raise

    async def put(self, entity: Mapping[str, Any]) -> None:
        """Store whatever is there."""
        await self._clients.table(self._name, lambda table: table.upsert_entity(entity, mode="replace"))

    async def put_all(self, entities: Sequence[Mapping[str, Any]]) -> None:
        """Store rows of one partition, a hundred in one request."""
        for start in range(0, len(entities), MAX_BATCH):
            some = entities[start : start + MAX_BATCH]
            await self._together([("upsert", dict(one), {"mode": "replace"}) for one in some])

    async def delete(self, partition: str, key: str, etag: str = "") -> bool:
        """Remove a version, or any; False when there was another version."""
        from azure.core import MatchConditions  # noqa: PLC0415  # loaded with the clients

        condition: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
        try:
            await self._clients.table(self._name, lambda table: table.delete_entity(partition, key, **condition))
        except BackendError as exc:
            if status_of(exc.__cause__) not in CONFLICTS:
                raise
            return False
        return True

    async def drop(self, partition: str, key: str) -> None:
        """Remove what is needed no more; what cannot be removed now is only left over."""
        try:
            await self.delete(partition, key)
        except BackendError:
            return

    async def drop_all(self, partition: str, keys: Sequence[str]) -> None:
        """The same for rows of one partition, a hundred in one request."""
        for start in range(0, len(keys), MAX_BATCH):
            some = list(dict.fromkeys(keys[start : start + MAX_BATCH]))
            try:
                await self._together([("delete", {"PartitionKey": partition, "RowKey": key}) for key in some])
            except BackendError:  # one of them is gone already, and a batch is all or nothing
                await asyncio.gather(*(self.drop(partition, key) for key in some))

    async def _together(self, operations: Sequence[Any]) -> None:
        await self._clients.table(self._name, lambda table: table.submit_transaction(operations, **_RETRIED))

    async def rows(self, wanted: str, given: Mapping[str, str], size: int) -> AsyncIterator[TableEntity]:
        """Rows of a range, in the order of their keys; each ``size`` are one request, which may also find nothing."""
        token: Any = None
        size = max(1, min(size, MAX_PAGE))
        while True:
            page, token = await self._clients.table(
                self._name,
                lambda table, after=token: _page(table, wanted, given, size, after),  # type: ignore[misc]  # bound at once
            )
            for entity in page:
                yield entity
            if not token:
                return


def _etag_of(metadata: Mapping[str, Any]) -> str:
    """Of an answer to a write; ValueError when it has none, for then it is not the service's."""
    if not metadata.get("etag"):
        raise ValueError("an answer without an ETag")
    return str(metadata["etag"])


async def _page(
    table: TableClient,
    wanted: str,
    given: Mapping[str, str],
    size: int,
    token: Any,  # noqa: ANN401  # the library's own
) -> tuple[list[TableEntity], Any]:
    pages = table.query_entities(wanted, parameters=dict(given), results_per_page=size).by_page(token)
    try:
        found = [entity async for entity in await anext(pages)]
    except StopAsyncIteration:
        return [], None
    return found, pages.continuation_token  # type: ignore[attr-defined]  # the iterator's own
