"""Sink ``json_files``: every verdict as JSON files, in a folder for each image.

::

    results/
    ├── docker.io_library_nginx_latest-0b1d5e6a7f8c9d0e/
    │   └── scan-20260115-123456-<key>.json
    └── errors/
        └── myacr.azurecr.io_myapp_v1-5a4b3c2d1e0f9a8b-20260115-123456-<key>.json
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

from scanguard.builtin.json_files_config import JsonFilesConfig as JsonFilesConfig  # noqa: PLC0414  # for its users
from scanguard.errors import SinkError
from scanguard.files import write_whole
from scanguard.hooks import Notice, PluginContext
from scanguard.ports import Receipt
from scanguard.render.safe_names import safe_key, safe_name
from scanguard.render.stored import StoredResult, results_of
from scanguard.render.text import listing

ERRORS_FOLDER: Final = "errors"
"""Where images go that no scanner reported on; no image's folder can have this name, for those end in a hash."""


class JsonFilesSink:
    """Writes each image of a verdict to a file of its own; the same delivery again replaces the same files."""

    def __init__(self, config: JsonFilesConfig, context: PluginContext) -> None:
        self._folder = context.config_dir / config.folder if config.folder else context.data_dir / "results"
        self._clock = context.clock

    async def write(self, notice: Notice) -> Receipt:
        """Store; SinkError names the file that could not be written."""
        written = await asyncio.to_thread(self._write, notice)
        return Receipt(str(self._folder), listing(written), self._clock.now())

    async def check(self) -> None:
        """Whether the folder can be written; it is not made. Raises SinkError."""
        await asyncio.to_thread(self._check)

    async def aclose(self) -> None:
        """Nothing to close."""

    def _check(self) -> None:
        nearest = next((one for one in (self._folder, *self._folder.parents) if os.path.exists(one)), self._folder)
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise SinkError(f"{self._folder}: {nearest} cannot be written", target=str(self._folder))

    def _write(self, notice: Notice) -> list[str]:
        written = []
        for result in results_of(notice):
            name = file_name(result)
            path = self._folder / name
            try:
                write_whole(path, result.model_dump_json(indent=2).encode())
            except OSError as exc:
                raise SinkError(f"cannot write {path}: {exc.strerror or exc}", target=str(path)) from exc
            written.append(name)
        return written


def file_name(result: StoredResult) -> str:
    """Where a result goes, below the sink's folder; the same for every delivery of the same notice."""
    stamp = f"{result.verdict.decided_at:%Y%m%d-%H%M%S}-{safe_key(result.key)}.json"
    if result.report is None:
        return f"{ERRORS_FOLDER}/{safe_name(result.image)}-{stamp}"
    return f"{safe_name(result.image)}/scan-{stamp}"
