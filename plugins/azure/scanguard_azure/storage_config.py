"""Options of the backend in Azure Storage."""

from __future__ import annotations

from pydantic import Field

from scanguard import Lane
from scanguard_azure.storage_account import URL, AccountConfig


class StorageConfig(AccountConfig):
    """Names, by https://learn.microsoft.com/en-us/rest/api/storageservices (naming pages)."""

    queue_endpoint: str | None = Field(default=None, pattern=URL, description="Address of Queue Storage, if unusual.")
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

    def queue(self, lane: Lane) -> str:
        """Name of a lane's queue."""
        return f"{self.queue_prefix}{lane.value}"

    def table(self, name: str) -> str:
        """Name of a table: ``State``, ``Due`` or ``Records``."""
        return f"{self.table_prefix}{name}"
