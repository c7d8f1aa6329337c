"""Where state, queue, reports and records are kept."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scanguard.hooks.context import PluginConfig, PluginContext

if TYPE_CHECKING:  # records are made without loading what they carry
    from scanguard.ports import Backend


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """A backend on offer, chosen by ``backend: {plugin: NAME, …}`` in the configuration.

    ``open`` gives the ports and does no I/O before the first call of one of them; leaving the block closes clients.
    """

    name: str
    config: type[PluginConfig]
    open: Callable[[Any, PluginContext], AbstractAsyncContextManager[Backend]]
    description: str = ""
