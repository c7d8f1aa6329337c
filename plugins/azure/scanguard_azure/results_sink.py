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
from scanguard_azure.parallel import in_parallel
from scanguard_azure.results_record import records_of
from scanguard_azure.storage_clients import AccountClients

if TYPE_CHECKING:
    from scanguard_azure.results_config import ResultsConfig
    from scanguard_azure.results_place import ResultsPlace

_AT_ONCE: Final = 8
"""Images of one verdict that are written at the same time."""


class AzureResultsSink:
    """Writes each image of a verdict to a blob and two rows; the same delivery again changes nothing."""

    def __init__(self, config: ResultsConfig, context: PluginContext) -> None:
        self._config = config
        self._clients = account_clients(config, context)
        self._clock = context.clock
        self._place: ResultsPlace | None = None

    async def write(self, notice: Notice) -> Receipt:
        """Store; SinkError says what is missing where."""
        if self._place is None:
            self._place = await made(self._config, self._clients)
        place = self._place
        records = await asyncio.to_thread(lambda: list(records_of(notice, compress=self._config.gzip)))
        names = await in_parallel(place.writer.store, records, _AT_ONCE)
        return Receipt(place.address, listing(names), self._clock.now())

    async def check(self) -> None:
        """Whether the container and the tables are there and can be read. Raises SinkError."""
        await (await opened(self._config, self._clients)).check()

    async def aclose(self) -> None:
        """Close clients."""
        self._place = None
        await self._clients.aclose()


def account_clients(config: ResultsConfig, context: PluginContext) -> AccountClients:
    """Clients that leave it to the engine to wait when the account asks to slow down."""
    return AccountClients(config, context, retry_status=0)


async def made(config: ResultsConfig, clients: AccountClients) -> ResultsPlace:
    """The container and the tables, made when they are missing and the configuration says so. Raises SinkError."""
    place = await opened(config, clients)
    if config.creates:
        await place.create()
    return place


async def opened(config: ResultsConfig, clients: AccountClients) -> ResultsPlace:
    """The container and the tables; Azure's libraries take half a second to load, so a thread does that."""
    place = await asyncio.to_thread(_place_class)
    return await place.open(config, clients)


def _place_class() -> type[ResultsPlace]:
    from scanguard_azure.results_place import ResultsPlace  # noqa: PLC0415  # see opened

    return ResultsPlace
