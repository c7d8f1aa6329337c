"""The soak's own sink and notifier, loaded into every worker.

The sink is ``json_files`` with a shorter time limit: an item that a dead worker held is free again after that limit
and the engine's slack, which is all that the end of a soak waits for.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from scanguard import Notice, NotifierSpec, PluginConfig, PluginContext, Receipt, SinkSpec, hookimpl
from scanguard.builtin.json_files import JsonFilesConfig, JsonFilesSink

scanguard_api_version = 1
LIMIT_S = 5.0


class NoticesConfig(PluginConfig):
    """Where notices are noted."""

    file: Path = Field(description="File that gets a line for each notice.")


class NoticesNotifier:
    """Writes down what it was told, each time it was told."""

    def __init__(self, config: NoticesConfig, context: PluginContext) -> None:
        self._path = context.config_dir / config.file
        self._clock = context.clock

    async def send(self, notice: Notice) -> Receipt:
        """Append a line."""
        verdict = notice.verdict
        line = {
            "key": notice.key,
            "id": verdict.id,
            "revision": verdict.revision,
            "outcome": verdict.outcome.value,
            "resource": verdict.deployment.resource_id,
        }
        await asyncio.to_thread(self._append, json.dumps(line).encode() + b"\n")
        return Receipt(str(self._path), notice.key, self._clock.now())

    async def aclose(self) -> None:
        """Nothing to close."""

    def _append(self, line: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


@hookimpl
def scanguard_sinks() -> Iterable[SinkSpec]:
    """Keep JSON files."""
    yield SinkSpec(name="soak_files", config=JsonFilesConfig, build=JsonFilesSink, timeout_s=LIMIT_S)


@hookimpl
def scanguard_notifiers() -> Iterable[NotifierSpec]:
    """Note notices."""
    yield NotifierSpec(name="soak_notices", config=NoticesConfig, build=NoticesNotifier, timeout_s=LIMIT_S)
