"""How QScanner is had and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from scanguard.hooks import PluginConfig

_OURS: Final = (
    "--access-token",
    "--mode",
    "--report-format",
    "--output-dir",
    "--cache-dir",
    "--pod",
    "--scan-types",
    "--platform",
    "--scan-timeout",
    "--offline-scan",
)


class Download(PluginConfig):
    """Where the program is downloaded from, and what it must be."""

    url: str = Field(pattern=r"^https://[^\s@?#]+$", description="Address of the program itself, not of an archive.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Its SHA-256; anything else is not run.")


class QscannerOptions(PluginConfig):
    """Exactly one of ``binary`` and ``download``."""

    binary: Path | None = Field(
        default=None,
        description="The program: a path, relative to the configuration file, or a name to look up in PATH.",
    )
    download: Download | None = Field(default=None, description="Download it, with a pinned checksum, once a machine.")
    scan_types: tuple[Literal["os", "sca", "pkg", "secret", "malware", "fileinsight", "compliance"], ...] = Field(
        default=("os", "sca"),
        min_length=1,
        description="What it looks for; newer versions call os and sca together pkg.",
    )
    pass_platform: bool = Field(default=True, description="Passes --platform; switch off for a version without it.")
    pass_timeout: bool = Field(default=True, description="Passes --scan-timeout; switch off for a version without it.")
    extra_args: tuple[str, ...] = Field(
        default=(), max_length=32, description="Further arguments, such as --policy-tags. Never a secret."
    )
    max_report_bytes: int = Field(
        default=200 * 1024 * 1024, ge=1024, le=1024**3, description="Bytes of a report that are read."
    )

    @field_validator("extra_args")
    @classmethod
    def _not_ours(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for argument in value:
            if argument.partition("=")[0] in _OURS:
                raise ValueError(f"{argument.partition('=')[0]} is the plugin's own: it is set for every run")
            if "\0" in argument or len(argument) > 1000:
                raise ValueError("an argument is one line of at most 1,000 characters")
        return value

    @model_validator(mode="after")
    def _one_program(self) -> Self:
        if (self.binary is None) == (self.download is None):
            raise ValueError("give exactly one of binary and download: where the program is, or how to get it")
        return self

    def result_options(self) -> dict[str, Any]:
        """What changes a result."""
        return self.model_dump(mode="json", include={"binary", "download", "scan_types", "extra_args"})
