"""The program: where it is, and whether it is the one that was pinned."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path

from scanguard.errors import ScannerUnavailableError


class Binary:
    """Finds the program once; its checksum is computed again whenever the file changes."""

    def __init__(self, name: str, folder: Path, sha256: str | None) -> None:
        self._name = name
        self._folder = folder
        self._sha256 = sha256
        self._checked: tuple[object, ...] = ()

    async def path(self) -> str:
        """The absolute path. Raises ScannerUnavailableError when there is none, or it is not the pinned file."""
        return await asyncio.to_thread(self._find)

    def _find(self) -> str:
        found = self._named()
        if self._sha256 is not None:
            self._check(Path(found))
        return found

    def _named(self) -> str:
        if "/" in self._name:
            return str(self._folder / self._name)
        found = shutil.which(self._name)
        if found is None:
            raise ScannerUnavailableError(
                f"{self._name} is not installed, or not on PATH; install Trivy 0.69.3, or set `binary`",
                plugin="trivy",
                target=self._name,
            )
        return str(Path(found).absolute())

    def _check(self, path: Path) -> None:
        try:
            status = path.stat()
            state = (path, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if state == self._checked:
                return
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as exc:
            raise ScannerUnavailableError(
                f"{path} cannot be read ({exc.strerror}); install Trivy 0.69.3, or set `binary`",
                plugin="trivy",
                target=str(path),
            ) from exc
        if digest != self._sha256:
            raise ScannerUnavailableError(
                f"{path} is not the program that binary_sha256 pins; find out who changed it, and do not run it",
                plugin="trivy",
                target=str(path),
            )
        self._checked = state
