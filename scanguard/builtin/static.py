"""Platform ``static``: deployments described in a YAML or JSON file, so that events can be tried without a cloud."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from scanguard.builtin.static_config import StaticConfig as StaticConfig  # noqa: PLC0414  # its home for users is here
from scanguard.builtin.static_file import read_deployments
from scanguard.errors import PlatformError
from scanguard.hooks import PluginContext
from scanguard.model.deployment import Deployment


@dataclass(frozen=True, slots=True)
class _Read:
    stamp: tuple[int, int, int]
    deployments: Mapping[str, Deployment]


class StaticPlatform:
    """Looks deployments up in a file, and reads it again when it has changed."""

    def __init__(self, config: StaticConfig, context: PluginContext) -> None:
        self._path = context.config_dir / config.file
        self._clock = context.clock
        self._read: _Read | None = None
        self._reading = threading.Lock()

    async def describe(self, resource_id: str) -> Deployment | None:
        """The deployment with this id, in any case; None when the file has none. Raises PlatformError."""
        deployments = await asyncio.to_thread(self._current)
        found = deployments.get(resource_id.lower())
        return found.model_copy(update={"seen_at": self._clock.now()}) if found else None

    async def check(self) -> None:
        """Whether the file can be read. Raises PlatformError."""
        await asyncio.to_thread(self._current)

    async def aclose(self) -> None:
        """Nothing to close."""

    def _current(self) -> Mapping[str, Deployment]:
        try:
            status = self._path.stat()
        except (OSError, ValueError) as exc:
            why = exc.strerror if isinstance(exc, OSError) else "it is no path"
            raise PlatformError(f"cannot read {self._path}: {why}", target=str(self._path)) from exc
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        with self._reading:  # many ask at once when a worker starts; one of them reads
            if self._read is None or self._read.stamp != stamp:
                self._read = _Read(stamp, read_deployments(self._path, self._clock.now()))
            return self._read.deployments
