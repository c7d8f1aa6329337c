"""Options of the notifier ``console``, apart from what draws: plugins are listed without it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scanguard.hooks import PluginConfig


class ConsoleConfig(PluginConfig):
    """Where the lines go."""

    stream: Literal["stderr", "stdout"] = Field(default="stderr", description="Which standard stream to write to.")
