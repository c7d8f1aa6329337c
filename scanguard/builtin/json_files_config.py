"""Options of the sink ``json_files``, apart from what writes: plugins are listed without it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from scanguard.hooks import PluginConfig


class JsonFilesConfig(PluginConfig):
    """Where the files go."""

    folder: Path | None = Field(
        default=None,
        description="Folder to write to; relative to the configuration file. Default: `results` in the data folder.",
    )
