"""Options of the sweep ``eventgrid_dead_letters``."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from scanguard.model.duration import DurationText
from scanguard_azure.storage_account import AccountConfig


class DeadLetterConfig(AccountConfig):
    """Where Event Grid leaves what it could not deliver."""

    container: str = Field(
        default="eventgrid-dead-letters",
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
