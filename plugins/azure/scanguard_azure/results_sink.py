"""Sink ``azure_results``: every verdict as JSON documents in a blob container, and as rows of two tables.

::

    scan-results/
    ├── docker.io_library_nginx_latest-<hash>/
    │   └── scan-20260115-123456-<scan id>.json
    └── errors/
        └── myacr.azurecr.io_myapp_v1-<hash>-20260115-123456-<scan id>.json
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from scanguard import Notice, PluginContext, Receipt
from scanguard.render.text import listing
from scanguard_azure.results_record import Record, records_of
from scanguard_azure.storage_clients import StorageClients

if TYPE_CHECKING:
    from scanguard_azure.results_config import ResultsConfig
    from scanguard_azure.results_place import ResultsPlace
    from scanguard_azure.results_writer import ResultsWriter

_AT_ONCE: Final = 8
"""Images of one verdict that are written at the same time."""


class AzureResultsSink:
    """Writes each image of a verdict to a blob and two rows; the same delivery again changes nothing."""

    def __init__(self, config: ResultsConfig, context: PluginContext) -> None:
        self._config = config
        self._clients = StorageClients(config, context)
        self._clock = context.clock
        self._place: ResultsPlace | None = None

    async def write(self, notice: Notice) -> Receipt:
        """Store; SinkError says what is missing where."""
        place = await self._opened()
        records = await asyncio.to_thread(lambda: list(records_of(notice, compress=self._config.gzip)))
        names = await _store_all(place.writer, records)
        return Receipt(place.address, listing(names), self._clock.now())

    async def check(self) -> None:
        """Whether the container and the tables are there and can be read. Raises SinkError."""
        await (await self._opened(create=False)).check()

    async def aclose(self) -> None:
        """Close clients."""
        self._place = None
        await self._clients.aclose()

    async def _opened(self, *, create: bool = True) -> ResultsPlace:
        if self._place is None:
            place = await opened(self._config, self._clients)
            if create and self._config.create:
                await place.create()
            elif not create:
                return place
            self._place = place
        return self._place


async def opened(config: ResultsConfig, clients: StorageClients) -> ResultsPlace:
    """The container and the tables; Azure's libraries take half a second to load, so a thread does that."""
    place = await asyncio.to_thread(_place_class)
    return await place.open(config, clients)


def _place_class() -> type[ResultsPlace]:
    from scanguard_azure.results_place import ResultsPlace  # noqa: PLC0415  # see opened

    return ResultsPlace


async def _store_all(writer: ResultsWriter, records: list[Record]) -> list[str]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def store(record: Record) -> str:
        async with gate:
            return await writer.store(record)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(store(record)) for record in records]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [task.result() for task in tasks]
