"""Options of the sink ``azure_results`` and of its retention job."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from scanguard.model.duration import DurationText
from scanguard_azure.storage_account import AccountConfig

SWEEP_EVERY: Final = timedelta(hours=24)
TableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]{2,62}$")]
ContainerName = Annotated[str, StringConstraints(min_length=3, max_length=63, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class ResultsConfig(AccountConfig):
    """Where results are kept, and for how long."""

    container: ContainerName = Field(default="scan-results", description="Blob container for the documents.")
    table: TableName = Field(default="ScanMetadata", description="Table with a row for each result, by image.")
    recent_table: TableName = Field(
        default="ScanMetadataRecent", description="Table with the same rows by day, for what is recent."
    )
    retries: int = Field(
        default=1,
        ge=0,
        le=10,
        description="Further tries of a request that got no answer; the engine tries later again.",
    )
    gzip: bool = Field(default=False, description="Compress documents (Content-Encoding: gzip).")
    retention: Annotated[DurationText, Field(ge=timedelta(days=1), le=timedelta(days=3660))] | None = Field(
        default=timedelta(days=90), description="How long rows are kept; null keeps them for ever."
    )
    delete_blobs: bool = Field(
        default=False,
        description="Delete the documents of old rows too, for an account without a lifecycle rule.",
    )

    @model_validator(mode="after")
    def _two_tables(self) -> Self:
        if self.table.lower() == self.recent_table.lower():
            raise ValueError("recent_table must be another table than table, whose rows would be counted twice")
        return self
