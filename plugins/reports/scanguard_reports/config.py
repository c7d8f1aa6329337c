"""Options: where reports are, what they are called, how old they may be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from scanguard.hooks import PluginConfig
from scanguard.model.secret import SecretRef
from scanguard_reports.place import check_template

FormatName = Literal["trivy", "grype", "snyk", "sarif", "cyclonedx"]


class ReportsConfig(PluginConfig):
    """Exactly one of ``folder`` and ``url``."""

    folder: Path | None = Field(default=None, description="Folder with reports; relative to the configuration file.")
    url: str | None = Field(
        default=None, pattern=r"^https?://[^\s@?#]+$", description="Base address of an HTTP store with reports."
    )
    token: SecretRef | None = Field(default=None, description="Sent to the store as a bearer token.")
    ca_file: Path | None = Field(
        default=None, description="Certificates (PEM) to trust for the store besides the usual."
    )
    path: str = Field(
        default="{algorithm}-{hex}.json",
        max_length=500,
        description="What a report is called: text with {algorithm} and {hex} of the manifest's digest, {config_hex}, "
        "{registry}, {repository}; a slash makes folders.",
    )
    formats: frozenset[FormatName] | None = Field(
        default=None, description="Formats that are taken; all, unless given."
    )
    wait_s: float = Field(
        default=0.0, ge=0, le=86_400, description="Seconds to wait for a report that is not there yet."
    )
    every_s: float = Field(default=30.0, ge=1, le=3600, description="Seconds between two looks while waiting.")
    max_age_days: float | None = Field(
        default=None, gt=0, le=3650, description="An older report, or one without a date, covers only in part."
    )
    max_bytes: int = Field(
        default=100 * 1024 * 1024, ge=1024, le=1024**3, description="Bytes of a report that are read."
    )
    request_timeout_s: float = Field(default=30.0, gt=0, le=600, description="Seconds one request may take.")

    @field_validator("path")
    @classmethod
    def _safe(cls, value: str) -> str:
        return check_template(value)

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.folder is None) == (self.url is None):
            raise ValueError("give exactly one of folder and url: where the reports are")
        if self.url is None and (self.token or self.ca_file):
            raise ValueError("token and ca_file belong to url; a folder needs neither")
        return self

    def result_options(self) -> Mapping[str, Any]:
        """What changes a result."""
        names = {"folder", "url", "path", "formats", "max_age_days"}
        options = self.model_dump(mode="json", include=names)
        return {**options, "formats": sorted(self.formats) if self.formats else None}
