"""Big documents as files."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from scanguard.errors import BackendError
from scanguard.files import write_whole

_LEGAL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")


class FileReports:
    """:class:`~scanguard.ports.ReportStore` in a folder; a write is whole (temporary file, fsync, rename)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, name: str, data: bytes) -> None:
        """Store, whole or not at all."""
        path = self._path(name)
        try:
            await asyncio.to_thread(write_whole, path, data)
        except OSError as exc:
            raise BackendError(f"cannot write {path}: {exc.strerror or exc}", target=str(path)) from exc

    async def get(self, name: str) -> bytes | None:
        """The document, or None."""
        path = self._path(name)
        try:
            return await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise BackendError(f"cannot read {path}: {exc.strerror or exc}", target=str(path)) from exc

    def _path(self, name: str) -> Path:
        if not _LEGAL_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no report name")
        return self._folder / name
