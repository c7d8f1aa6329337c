"""The container and the two tables of one account."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from azure.core.exceptions import ResourceExistsError
from azure.data.tables.aio import TableClient
from azure.storage.blob.aio import ContainerClient

from scanguard import BackendError, SinkError
from scanguard_azure.results_blobs import ResultBlobs
from scanguard_azure.results_errors import sink_errors
from scanguard_azure.results_removal import Removal
from scanguard_azure.results_rows import ResultRows
from scanguard_azure.results_writer import ResultsWriter

if TYPE_CHECKING:
    from scanguard_azure.results_config import ResultsConfig
    from scanguard_azure.storage_clients import AccountClients


class ResultsPlace:
    """Clients that do no I/O before they are used."""

    def __init__(
        self, container: ContainerClient, by_image: TableClient, by_day: TableClient, *, compressed: bool
    ) -> None:
        self.container = container
        self.by_image = by_image
        self.by_day = by_day
        self.blobs = ResultBlobs(container, compressed=compressed)
        self.rows = ResultRows(by_image, by_day)
        self.writer = ResultsWriter(self.blobs, self.rows)
        self.removal = Removal(by_image, by_day, self.blobs)

    @classmethod
    async def open(cls, config: ResultsConfig, clients: AccountClients) -> Self:
        """Make the clients. SinkError when the connection string is none."""
        try:
            blobs, tables = await clients.service("blob"), await clients.service("table")
        except BackendError as exc:
            raise SinkError(exc.message, target=exc.target) from exc
        return cls(
            blobs.get_container_client(config.container),
            tables.get_table_client(config.table),
            tables.get_table_client(config.recent_table),
            compressed=config.gzip,
        )

    @property
    def address(self) -> str:
        """Of the container; no query, which could hold a signature."""
        return str(self.container.url).partition("?")[0]

    async def create(self) -> None:
        """Make what is missing."""
        with sink_errors("blob", self.container.container_name), suppress(ResourceExistsError):
            await self.container.create_container()
        for table in (self.by_image, self.by_day):
            with sink_errors("table", table.table_name), suppress(ResourceExistsError):
                await table.create_table()

    async def check(self) -> None:
        """Read a little of each; SinkError names the one that cannot be read."""
        with sink_errors("blob", self.container.container_name):
            await self.container.get_container_properties()
        for table in (self.by_image, self.by_day):
            with sink_errors("table", table.table_name):
                async for _ in table.query_entities("PartitionKey eq ''", results_per_page=1):
                    break
