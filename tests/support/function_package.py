"""The deployable zip, built from this tree and unpacked, and an environment with Azure's runtime to load it in."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import package_function
from parts import missing
from workspace import ROOT

RUNTIME = "azure-functions-runtime==1.3.0"
LIBRARY = "azure-functions>=1.21,<3"
INSTALL_TIMEOUT_S = 600
KEPT = 3
_FOLDERS = ("scanguard", "plugins", "adapters/azure_function")
_FILES = ("tools/package_function.py", "constraints.txt", "pyproject.toml")
_NOT_PACKED = frozenset({"__pycache__", "tests"})


@dataclass(frozen=True, slots=True)
class Packaged:
    """An unpacked package and the Python that loads it."""

    folder: Path
    python: Path


def packaged(extras: str = "azure,qualys,telemetry") -> Packaged:
    """The package of this tree as it is now; built once for each state of it."""
    python = package_function.find_python()
    state = hashlib.sha256(f"{python}{extras}".encode())
    for path in sorted(_sources()):
        state.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    folder = cache_folder() / "function-packages" / state.hexdigest()[:16]
    if not (folder / "host.json").exists():
        _build(folder, extras, python)
    os.utime(folder)
    return Packaged(folder, _environment(python))


def _sources() -> Iterable[Path]:
    for name in _FOLDERS:
        yield from (one for one in (ROOT / name).rglob("*") if one.is_file() and _NOT_PACKED.isdisjoint(one.parts))
    yield from (ROOT / name for name in _FILES)


def _build(folder: Path, extras: str, python: str) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f"{folder.name}.{os.getpid()}")
    package_function.build(partial.with_suffix(".zip"), extras.split(","), python)
    with zipfile.ZipFile(partial.with_suffix(".zip")) as archive:
        archive.extractall(partial)
    partial.with_suffix(".zip").unlink()
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    for old in sorted(folder.parent.iterdir(), key=lambda one: one.stat().st_mtime, reverse=True)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def _environment(python: str) -> Path:
    """An environment with the runtime. It asks for 3.13; on an older Python it is installed all the same, for tests."""
    version = subprocess.run([python, "-c", "import sys; print(sys.version_info[:3])"], capture_output=True, check=True)  # noqa: S603  # a Python
    key = hashlib.sha256(version.stdout + (RUNTIME + LIBRARY).encode()).hexdigest()[:12]
    root = cache_folder() / f"function-runtime-{key}"
    if (root / "ready").exists():
        return root / "bin" / "python"
    shutil.rmtree(root, ignore_errors=True)
    steps = [
        [python, "-m", "venv", str(root)],
        [str(root / "bin" / "python"), "-m", "pip", "install", "-q", LIBRARY, "azurefunctions-extensions-base>=1.2,<2"],
        [str(root / "bin" / "python"), "-m", "pip", "install", "-q", "--no-deps", "--ignore-requires-python", RUNTIME],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT_S)  # noqa: S603  # as listed
        if done.returncode:
            missing(f"Azure's runtime for Python cannot be installed:\n{done.stderr[-1500:]}")
    (root / "ready").touch()
    return root / "bin" / "python"


def cache_folder() -> Path:
    """What test runs keep."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scanguard-tests"


if __name__ == "__main__":
    print(packaged(), file=sys.stderr)  # noqa: T201  # to look at it
