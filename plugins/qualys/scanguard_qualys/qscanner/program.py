"""The program: found where the configuration says, or downloaded once and checked against its pinned checksum."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from scanguard import http
from scanguard.errors import ScannerOutputError, ScannerUnavailableError
from scanguard.hooks import PluginContext
from scanguard_qualys.qscanner.options import Download, QscannerOptions

MAX_BYTES: Final = 512 * 1024 * 1024
_TIMEOUT_S: Final = 300.0


class Program:
    """QScanner on this machine."""

    def __init__(self, options: QscannerOptions, context: PluginContext) -> None:
        self._options = options
        self._context = context
        self._lock = asyncio.Lock()

    async def path(self) -> Path:
        """Where it is; ScannerUnavailableError when it is nowhere, ScannerOutputError for a wrong checksum."""
        if self._options.download is not None:
            async with self._lock:
                return await self._downloaded(self._options.download)
        return self._found(self._options.binary or Path("qscanner"))

    def _found(self, binary: Path) -> Path:
        if len(binary.parts) == 1 and (on_path := shutil.which(binary.name)):
            return Path(on_path)
        path = self._context.config_dir / binary
        if not path.is_file():
            raise self._missing(f"there is no program {binary}")
        if not os.access(path, os.X_OK):
            raise self._missing(f"{binary} is not executable")
        return path

    async def _downloaded(self, download: Download) -> Path:
        folder = self._context.data_dir / "qscanner"
        path = folder / download.sha256
        if await asyncio.to_thread(_is_intact, path, download.sha256):
            return path
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        handle, name = await asyncio.to_thread(tempfile.mkstemp, dir=folder)
        os.close(handle)
        try:
            found = await self._fetch(download.url, Path(name))
            if found != download.sha256:
                raise ScannerOutputError(
                    f"{download.url} has the SHA-256 {found}, not the pinned one: it is not run", plugin="qualys"
                )
            os.chmod(name, 0o755)  # noqa: S103  # a program has to be run
            os.replace(name, path)
        finally:
            await asyncio.to_thread(Path(name).unlink, missing_ok=True)
        return path

    async def _fetch(self, url: str, target: Path) -> str:
        late = f"{url} could not be downloaded within {_TIMEOUT_S:g} s"
        hashed, size = hashlib.sha256(), 0
        client = self._context.http.client(timeout_s=60, max_redirects=3)
        try:
            async with (
                http.deadline(_TIMEOUT_S, lambda: self._missing(late)),
                client,
                client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response,
            ):
                if response.status_code != 200:
                    raise self._missing(f"{url} answered {response.status_code}")
                with target.open("wb") as file:  # opening a local file; writing is done in a thread
                    async for chunk in response.aiter_bytes(1 << 20):
                        size += len(chunk)
                        if size > MAX_BYTES:
                            raise self._missing(f"{url} is larger than {MAX_BYTES >> 20} MiB")
                        hashed.update(chunk)
                        await asyncio.to_thread(file.write, chunk)
        except http.HTTPError as exc:
            raise self._missing(f"{url} cannot be downloaded ({type(exc).__name__})") from None
        return hashed.hexdigest()

    def _missing(self, problem: str) -> ScannerUnavailableError:
        return ScannerUnavailableError(
            f"QScanner cannot be run: {problem}; see qscanner: in the configuration of {self._context.instance}",
            plugin="qualys",
        )


def _is_intact(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256
