"""Clients of a storage account: made when they are first needed, once, and closed together.

They sign in with an identity or with a connection string; both time out and retry a little, for whoever calls retries
with patience of its own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import Field, model_validator

from scanguard import PluginContext, SecretRef
from scanguard_azure.identity import Identity, IdentityConfig

if TYPE_CHECKING:
    from azure.data.tables.aio import TableServiceClient
    from azure.storage.blob.aio import BlobServiceClient

_PATIENCE: Final = {
    "connection_timeout": 5,
    "read_timeout": 20,
    "retry_total": 2,
    "retry_status": 0,  # whoever asks to slow down is obeyed by the caller, not slept for here
    "retry_backoff_factor": 0.2,  # tables; the next three are for blobs, which would wait 15 s
    "initial_backoff": 1,
    "increment_base": 1,
    "random_jitter_range": 1,
}
"""In seconds."""


class StorageConfig(IdentityConfig):
    """Options of everything that uses a storage account."""

    account: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]{3,24}$",
        description="Name of the storage account; signs in with an identity.",
    )
    connection_string: SecretRef | None = Field(
        default=None, description="Connection string of the account, for Azurite and where no identity is to be had."
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.account is None) == (self.connection_string is None):
            raise ValueError("give either account or connection_string")
        return self

    def address(self, service: str) -> str:
        """Where ``blob``, ``queue`` or ``table`` of the account answers."""
        return f"https://{self.account}.{service}.{self.addresses.storage_suffix}"


class StorageClients:
    """The clients of one account; close them with :meth:`aclose`."""

    def __init__(self, config: StorageConfig, context: PluginContext) -> None:
        self._config = config
        self._secret = context.secret
        self._identity = Identity(config)
        self._lock = asyncio.Lock()
        self._blobs: BlobServiceClient | None = None
        self._tables: TableServiceClient | None = None

    async def blobs(self) -> BlobServiceClient:
        """The client for blobs."""
        async with self._lock:
            if self._blobs is None:
                from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415  # half a second

                self._blobs = await self._made(BlobServiceClient, "blob")
            return self._blobs

    async def tables(self) -> TableServiceClient:
        """The client for tables."""
        async with self._lock:
            if self._tables is None:
                from azure.data.tables.aio import TableServiceClient  # noqa: PLC0415  # as above

                self._tables = await self._made(TableServiceClient, "table")
            return self._tables

    async def _made(self, kind: Any, service: str) -> Any:  # noqa: ANN401  # the clients have no common base
        if self._config.connection_string is None:
            return kind(self._config.address(service), credential=self._identity.credential, **_PATIENCE)
        found = await self._secret(self._config.connection_string)
        return kind.from_connection_string(found.get_secret_value(), **_PATIENCE)

    async def aclose(self) -> None:
        """Close whatever was made."""
        for client in (self._blobs, self._tables):
            if client is not None:
                await client.close()
        self._blobs = self._tables = None
        await self._identity.aclose()
