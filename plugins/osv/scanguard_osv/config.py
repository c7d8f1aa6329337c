"""Options of the OSV scanner."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from scanguard.hooks import PluginConfig, PluginContext

DATABASE_NAME = "osv.db"


class Mode(StrEnum):
    """Where advisories come from."""

    AUTO = "auto"
    ONLINE = "online"
    OFFLINE = "offline"


class OsvConfig(PluginConfig):
    """How to look for advisories."""

    mode: Mode = Field(
        default=Mode.AUTO,
        description=(
            "`online` asks the service, `offline` the imported database. `auto` takes the database when the user "
            "is offline, or when it holds everything the image needs and none of it is stale; else the service."
        ),
    )
    url: str = Field(
        default="https://api.osv.dev",
        pattern=r"^https?://[^\s/@]+(/[^\s@]*)?$",
        description="Base address of the OSV service.",
    )
    database: Path | None = Field(
        default=None,
        description="The imported database; relative to the configuration file. Default: `osv.db` in the data folder.",
    )
    max_database_age_days: float = Field(
        default=7.0,
        gt=0,
        le=3650,
        description=(
            "Days after the newest record of an ecosystem at which its data counts as stale: reports stay, "
            "coverage becomes partial and says so."
        ),
    )
    ecosystems: frozenset[Literal["os", "python"]] = Field(
        default=frozenset(("os", "python")),
        description="What to look at; what is left out is reported as not covered, never as clean.",
    )
    request_timeout_s: float = Field(
        default=30.0, gt=0, le=600, description="Seconds one call of the service may take."
    )
    lookup_timeout_s: float = Field(
        default=300.0, gt=0, le=3600, description="Seconds all calls for one image may take together."
    )
    max_answer_bytes: int = Field(
        default=64 * 1024 * 1024, ge=1024, le=1024**3, description="Bytes of one answer of the service that are read."
    )

    @field_validator("url")
    @classmethod
    def _no_trailing_slash(cls, url: str) -> str:
        return url.rstrip("/")


def database_path(config: OsvConfig, context: PluginContext) -> Path:
    """Where the imported database is, or would be."""
    return context.config_dir / config.database if config.database else context.data_dir / DATABASE_NAME
