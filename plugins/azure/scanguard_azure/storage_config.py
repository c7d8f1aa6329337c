"""Options of the backend in Azure Storage."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, model_validator

from scanguard import Lane, SecretRef
from scanguard_azure.identity import IdentityConfig

_URL: Final = r"^https?://[^\s/?#@]+(/[^\s?#@]+)?$"


class StorageConfig(IdentityConfig):
    """One storage account. Names follow https://learn.microsoft.com/en-us/rest/api/storageservices (naming pages)."""

    account: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9]{3,24}$",
        description="Name of the storage account; signs in with the identity.",
    )
    connection_string: SecretRef | None = Field(
        default=None,
        description="Connection string, by reference, instead of `account`: for Azurite, or an account key.",
    )
    blob_endpoint: str | None = Field(default=None, pattern=_URL, description="Address of Blob Storage, if unusual.")
    queue_endpoint: str | None = Field(default=None, pattern=_URL, description="Address of Queue Storage, if unusual.")
    table_endpoint: str | None = Field(default=None, pattern=_URL, description="Address of Table Storage, if unusual.")
    queue_prefix: str = Field(
        default="scanguard-",
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*-?$",
        max_length=54,
        description="Queues are named by this and the lane: `scanguard-fresh`, `scanguard-bulk`, `scanguard-heavy`.",
    )
    table_prefix: str = Field(
        default="Scanguard",
        pattern=r"^[A-Za-z][A-Za-z0-9]{0,53}$",
        description="Tables are named by this: `ScanguardState`, `ScanguardDue`, `ScanguardRecords`.",
    )
    container: str = Field(
        default="scanguard-data",
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$",
        min_length=3,
        max_length=63,
        description="Blob container of reports and of what is too large for a row or a message.",
    )
    create: bool | None = Field(
        default=None,
        description="Make queues, tables and the container where they are missing. Default: only with a connection "
        "string; with an identity, the deployment makes them.",
    )
    connect_timeout_s: float = Field(default=5.0, gt=0, le=60, description="Seconds for a connection to come about.")
    read_timeout_s: float = Field(default=20.0, gt=0, le=120, description="Seconds to wait for an answer's next bytes.")
    retries: int = Field(default=3, ge=0, le=10, description="Further tries of a request that got no good answer.")

    @model_validator(mode="after")
    def _names_one_account(self) -> Self:
        if (self.account is None) == (self.connection_string is None):
            raise ValueError("name either account (signs in with the identity) or connection_string (by reference)")
        return self

    @property
    def creates(self) -> bool:
        """Whether what is missing is made."""
        return self.connection_string is not None if self.create is None else self.create

    def endpoint(self, service: str) -> str:
        """Where ``blob``, ``queue`` or ``table`` answers, for an account that is named."""
        given: str | None = getattr(self, f"{service}_endpoint")
        return given or f"https://{self.account}.{service}.{self.addresses.storage_suffix}"

    def queue(self, lane: Lane) -> str:
        """Name of a lane's queue."""
        return f"{self.queue_prefix}{lane.value}"

    def table(self, name: str) -> str:
        """Name of a table: ``State``, ``Due`` or ``Records``."""
        return f"{self.table_prefix}{name}"
