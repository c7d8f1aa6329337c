"""A real Azurite (blobs, queues, tables), installed by npm into a cache, started on free ports of loopback.

Its stores write to disk every five seconds: what it acknowledged in the last seconds before a ``kill -9``
is lost, so tests end it with SIGTERM, as the block here does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from parts import free_port, missing, program, running

ACCOUNT: Final = "devstoreaccount1"
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Published by Microsoft for this emulator and valid nowhere else."""
PACKAGE: Final = Path(__file__).parents[1] / "azurite" / "package.json"
INSTALL_TIMEOUT_S: Final = 300


@dataclass(frozen=True, slots=True)
class Azurite:
    """Where one answers."""

    blob_port: int
    queue_port: int
    table_port: int

    @property
    def connection_string(self) -> str:
        """For clients of Azure's libraries."""
        return self.through(self.blob_port, self.queue_port, self.table_port)

    @staticmethod
    def through(blob_port: int, queue_port: int, table_port: int) -> str:
        """The same by other ports, such as a proxy's."""
        services = {"Blob": blob_port, "Queue": queue_port, "Table": table_port}
        endpoints = ";".join(f"{name}Endpoint=http://127.0.0.1:{port}/{ACCOUNT}" for name, port in services.items())
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};{endpoints};"


def azurite_command(where: Azurite, folder: Path | None = None) -> list[str]:
    """How to start it; in memory, or on a folder. Clients' API versions are newer than those it knows."""
    kept = ["--inMemoryPersistence"] if folder is None else ["--location", str(folder)]
    ports = ["--blobPort", str(where.blob_port), "--queuePort", str(where.queue_port)]
    ports += ["--tablePort", str(where.table_port)]
    quiet = ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    return [program("node", "nodejs"), str(_installed()), *ports, *quiet, *kept]


def free_azurite() -> Azurite:
    """Ports for one."""
    return Azurite(free_port(), free_port(), free_port())


@contextmanager
def azurite(folder: Path, *, in_memory: bool = True) -> Iterator[Azurite]:
    """One that runs while the block lasts; its log, and its data unless in memory, are in the folder."""
    where = free_azurite()
    command = azurite_command(where, None if in_memory else folder / "azurite")
    with running(command, port=where.table_port, log=folder / "azurite.log"):
        yield where


def _installed() -> Path:
    """The program; installed first where npm is here, else missing."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scanguard-tests" / "azurite"
    script = root / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    stamp = root / "installed.json"
    wanted = PACKAGE.read_bytes()
    if script.exists() and stamp.exists() and stamp.read_bytes() == wanted:
        return script
    npm = shutil.which("npm")
    if npm is None:
        missing("Azurite is not installed, and npm, which installs it, is not here (apt-get install npm)")
    root.mkdir(parents=True, exist_ok=True)
    shutil.copy(PACKAGE, root / "package.json")
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
    done = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S)  # noqa: S603  # npm, for our own package.json
    if done.returncode or not script.exists():
        missing(f"npm could not install Azurite:\n{done.stderr[-1500:]}")
    stamp.write_bytes(wanted)
    return script
