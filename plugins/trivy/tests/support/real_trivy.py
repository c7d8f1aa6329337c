"""A real Trivy of a pinned version, and a real database of real advisories, both built by Go from checked sums.

Kept under ``$XDG_CACHE_HOME/scanguard-tests`` (or ``~/.cache``), for a cold build takes minutes; the name of the kept
folder says what is in it. Without Go, a ``trivy`` on PATH does for what needs no database.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from parts import missing
from scanguard_trivy.config import MALICIOUS_VERSIONS

VERSION = "0.69.3"
HERE = Path(__file__).parents[1]
MODULE = HERE / "trivy_tool"
ADVISORIES = HERE / "data" / "database"
BUILD_TIMEOUT_S = 1800
_QUICKLY = ("-gcflags=all=-N -l",)  # not optimised: a third less work for the compiler
_STAMP = f"-s -w -X github.com/aquasecurity/trivy/pkg/version/app.ver={VERSION}"


def trivy() -> Path:
    """The program: built, or on PATH where it cannot be; never a version that is refused."""
    built = _built("trivy", "github.com/aquasecurity/trivy/cmd/trivy")
    return built or _on_path()


def database_folder(parent: Path) -> Path:
    """Make a vulnerability database of the advisories that Trivy's own tests use, in ``parent/db``."""
    maker = _maker()
    if maker is None:
        missing("Go is needed to make a database (https://go.dev/dl)")
    with tempfile.TemporaryDirectory() as folder:
        files = [_unzipped(path, Path(folder)) for path in sorted(ADVISORIES.glob("*.yaml.gz"))]
        subprocess.run([maker, parent / "db", *files], check=True, timeout=60)  # noqa: S603  # built above
    return parent / "db"


def _maker() -> Path | None:
    return _built("database", "./database")


def _unzipped(path: Path, folder: Path) -> Path:
    plain = folder / path.name.removesuffix(".gz")
    plain.write_bytes(gzip.decompress(path.read_bytes()))
    return plain


def _built(name: str, package: str) -> Path | None:
    """A program of the module, built when it is not kept yet; None where Go is missing or reaches no modules."""
    kept = _cache() / name
    if kept.exists():
        return kept
    go = shutil.which("go", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin")
    if go is None:
        return None
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = kept.with_name(f"{name}.{os.getpid()}")
    command = [go, "build", *_QUICKLY, "-ldflags", _STAMP, "-o", str(beside), package]
    done = subprocess.run(  # noqa: S603  # Go, on our own module
        command, cwd=MODULE, env=_environment(), check=False, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S
    )
    if done.returncode:
        print(f"go build {package}:\n{done.stderr[-1500:]}")  # noqa: T201  # pytest shows it with the failure
        return None
    beside.replace(kept)
    return kept


def _environment() -> Mapping[str, str]:
    """``jsonv2`` is what this release is built with (its ``goreleaser.yml``); sums are checked, never added."""
    flags = {"GOEXPERIMENT": "jsonv2", "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -trimpath"}
    return {**os.environ, **flags}


def _cache() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    content = hashlib.sha256()
    for path in sorted(path for path in MODULE.rglob("*") if path.is_file()):
        content.update(path.read_bytes())
    return root / "scanguard-tests" / f"trivy-{VERSION}-{content.hexdigest()[:12]}"


def _on_path() -> Path:
    found = shutil.which("trivy")
    if found is None:
        missing("neither Go (https://go.dev/dl) with its module proxy nor a trivy on PATH is here")
    told = subprocess.run([found, "version", "--format", "json"], check=True, capture_output=True)  # noqa: S603  # as above
    if json.loads(told.stdout)["Version"] in MALICIOUS_VERSIONS:
        missing(f"{found} is a malicious release; remove it")
    return Path(found)


if __name__ == "__main__":  # ahead of the tests that need them
    if not (trivy() and _maker()):
        raise SystemExit("Go is missing, or reaches no modules")
