"""A place for results on a real Azurite: a container and two tables of each test's own, and what is in them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.data.tables import TableEntity
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient
from scanguard_azure.results_config import ResultsConfig
from scanguard_azure.results_sink import AzureResultsSink, account_clients, made

from scanguard.hooks import Notice, PluginContext
from scanguard.model.merged import MergedReport
from scanguard.model.verdict import ImageVerdict, Outcome, Verdict
from scanguard.testing.contexts import make_context
from scanguard.testing.samples import sample_image_verdict, sample_report, sample_verdict

REFERENCE = "env:STORAGE"


@dataclass
class ResultsAccount:
    """Names of a place, and ways to look into it."""

    connection_string: str
    name: str = field(default_factory=lambda: f"t{secrets.token_hex(6)}")

    def options(self, **more: object) -> dict[str, object]:
        names = {"container": self.name, "table": self.name, "recent_table": f"{self.name}Recent"}
        return {"connection_string": REFERENCE, **names, **more}

    def config(self, **more: object) -> ResultsConfig:
        return ResultsConfig.model_validate(self.options(**more))

    def context(self, folder: Path, **more: Any) -> PluginContext:
        return make_context(folder, secrets={REFERENCE: self.connection_string}, **more)

    @asynccontextmanager
    async def sink(self, folder: Path, **more: object) -> AsyncIterator[AzureResultsSink]:
        sink = AzureResultsSink(self.config(**more), self.context(folder))
        try:
            yield sink
        finally:
            await sink.aclose()

    async def rows(self, query: str = "", *, recent: bool = False, **parameters: object) -> list[TableEntity]:
        """What a filter finds in the table by image, or by day."""
        table = f"{self.name}Recent" if recent else self.name
        async with TableServiceClient.from_connection_string(self.connection_string) as service:
            found = service.get_table_client(table).query_entities(query, parameters=parameters)
            return [row async for row in found]

    async def blobs(self) -> list[str]:
        async with BlobServiceClient.from_connection_string(self.connection_string) as service:
            return sorted([one.name async for one in service.get_container_client(self.name).list_blobs()])

    async def delete_blob(self, name: str) -> None:
        async with BlobServiceClient.from_connection_string(self.connection_string) as service:
            await service.get_blob_client(self.name, name).delete_blob()

    async def insert(self, entity: dict[str, Any], *, recent: bool = False) -> None:
        """A row by somebody else."""
        async with TableServiceClient.from_connection_string(self.connection_string) as service:
            await service.get_table_client(f"{self.name}Recent" if recent else self.name).create_entity(entity)

    async def blob(self, name: str) -> tuple[bytes, Any]:
        """A blob's bytes, and its properties."""
        async with BlobServiceClient.from_connection_string(self.connection_string) as service:
            client = service.get_blob_client(self.name, name)
            properties = await client.get_blob_properties()
            return await (await client.download_blob()).readall(), properties

    async def create(self, folder: Path) -> None:
        """Make the container and the tables, with nothing in them."""
        clients = account_clients(self.config(), self.context(folder))
        await made(self.config(), clients)
        await clients.aclose()

    async def one_of_each(self) -> tuple[TableEntity, str]:
        """The one row and the one blob, which name each other and the one row of the day; fails when there are more."""
        (blob,) = await self.blobs()
        (row,), (recent,) = await self.rows(), await self.rows(recent=True)
        assert row["BlobPath"] == recent["BlobPath"] == blob
        assert row["RecentKey"] == f"{recent['PartitionKey']}/{recent['RowKey']}"
        assert recent["ImageKey"] == f"{row['PartitionKey']}/{row['RowKey']}"
        _, properties = await self.blob(blob)
        assert row["Revision"] == recent["Revision"] == int(properties.metadata["revision"])
        return row, blob


def image(name: str = "shop.example/web:1.4", outcome: Outcome = Outcome.FAIL, **changes: object) -> ImageVerdict:
    """An image with a report of nine findings."""
    return sample_image_verdict(sample_report(), outcome, name=name, **changes)


def unlooked(name: str = "shop.example/web:1.4") -> ImageVerdict:
    """An image that nobody reported on."""
    return sample_image_verdict(None, Outcome.UNKNOWN, name=name, image=None, scanners=(), error="no such tag")


def notice_of(verdict: Verdict) -> Notice:
    """A notice as the engine makes it: the key is another for each revision."""
    reports: dict[str, MergedReport] = {one.merged: sample_report() for one in verdict.images if one.merged}
    return Notice(key=f"{verdict.id}-{verdict.revision}", verdict=verdict, reports=reports)


def notice(*images: ImageVerdict, **changes: Any) -> Notice:
    """A notice of a verdict on these images; ``changes`` are the verdict's."""
    return notice_of(sample_verdict(images=images or (image(),), **changes))
