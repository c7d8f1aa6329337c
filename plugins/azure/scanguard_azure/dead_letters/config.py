"""Options of the sweep ``eventgrid_dead_letters``."""

from __future__ import annotations

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from scanguard.model.duration import DurationText
from scanguard.model.secret import SecretRef
from scanguard_azure.identity import IdentityConfig


class DeadLetterConfig(IdentityConfig):
    """Where Event Grid leaves what it could not deliver."""

    account: str | None = Field(
        default=None, pattern=r"^[a-z0-9]{3,24}$", description="The storage account, read with the identity."
    )
    connection_string: SecretRef | None = Field(
        default=None, description="Instead of `account`: a connection string, by secret reference."
    )
    blob_endpoint: str | None = Field(
        default=None,
        pattern=r"^https://[^\s/?#@]+(/[^\s?#@]+)?$",
        description="Address of the account's blobs, if it is not the usual one; `https://` only.",
    )
    container: str = Field(
        pattern=r"^[a-z0-9](?:-?[a-z0-9]){2,62}$",
        description="The container that the event subscriptions name as their dead-letter destination.",
    )
    every: DurationText | None = Field(
        default=timedelta(minutes=15),
        ge=timedelta(minutes=1),
        le=timedelta(days=30),
        description="How often the container is looked through; null switches it off.",
    )
    max_blob_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=1024,
        le=64 * 1024 * 1024,
        description="Bytes of one blob that are read; a longer one is moved aside. Event Grid writes at most 1 MB.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.account is None) == (self.connection_string is None):
            raise ValueError("say where the container is: account, or connection_string, one of them")
        return self

    @property
    def blobs(self) -> str:
        """Where the account's blobs are."""
        return self.blob_endpoint or f"https://{self.account}.blob.{self.addresses.storage_suffix}"
