"""The five ports in one storage account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scanguard import Backend, PluginContext
from scanguard_azure.storage_blobs import StorageBlobs
from scanguard_azure.storage_bodies import StorageBodies
from scanguard_azure.storage_clients import storage_clients
from scanguard_azure.storage_config import StorageConfig
from scanguard_azure.storage_due import DueIndex
from scanguard_azure.storage_queue import StorageQueue
from scanguard_azure.storage_records import StorageRecords
from scanguard_azure.storage_state import StorageState
from scanguard_azure.storage_tables import StorageTable


@asynccontextmanager
async def open_storage(config: StorageConfig, context: PluginContext) -> AsyncIterator[Backend]:
    """The backend; nothing is asked of the account before a port is called. Time is this machine's."""
    async with storage_clients(config, context) as clients:
        clock = context.clock
        due = DueIndex(StorageTable(clients, "Due"), clock)
        try:
            yield Backend(
                state=StorageState(StorageTable(clients, "State"), due, StorageBodies(StorageBlobs(clients, "state"))),
                queue=StorageQueue(clients, clock, StorageBlobs(clients, "queue")),
                reports=StorageBlobs(clients, "reports"),
                records=StorageRecords(
                    StorageTable(clients, "Records"), StorageBodies(StorageBlobs(clients, "records"))
                ),
                clock=clock,
            )
        finally:
            await due.tidy()
