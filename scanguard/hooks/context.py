"""What every plugin is made of: its configuration, and what the engine lends it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:  # plugins are listed without loading an HTTP client
    from scanguard.hooks.surroundings import EventSourceSpec
    from scanguard.http import HttpFactory
    from scanguard.model.secret import SecretRef
    from scanguard.oci.client import ImageClient
    from scanguard.ports import Clock


class PluginConfig(BaseModel):
    """Base of a plugin's configuration: frozen, unknown keys refused.

    A secret field has the type :class:`~scanguard.SecretRef`; resolve it with :meth:`PluginContext.secret`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


@dataclass(frozen=True, slots=True)
class PluginContext:
    """What the engine lends to an object it builds; nothing here is shared with another instance's state.

    Attributes:
        instance: Name of the instance in the configuration.
        http: Makes HTTP clients with time-outs, retries and redaction; close each in ``aclose``.
        images: Opens images from registries, folders and archives.
        secret: Awaits the value of a secret reference; call it when the secret is needed, not before.
        clock: The time.
        data_dir: A folder of this plugin's own, shared by its instances; it may not exist yet.
        config_dir: The folder of the configuration file, which relative paths in a config start from.
        offline: True when the user asked for no network beyond the registry that holds the image.
        log: A logger that carries the instance's name.
        event_sources: Who understands events, for a plugin that finds some: hand them to
            :func:`scanguard.intake.parse_events`.
    """

    instance: str
    http: HttpFactory
    images: ImageClient
    secret: Callable[[SecretRef], Any]
    clock: Clock
    data_dir: Path
    config_dir: Path
    offline: bool
    log: logging.Logger
    event_sources: tuple[EventSourceSpec, ...] = ()
