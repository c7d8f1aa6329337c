"""Options of the platform ``static``, apart from what reads: plugins are listed without it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from scanguard.hooks import PluginConfig


class StaticConfig(PluginConfig):
    """Where the deployments are written down."""

    file: Path = Field(description="YAML or JSON file with a list of deployments; relative to the configuration file.")
