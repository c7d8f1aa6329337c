"""A real Debian image: a debootstrap root as one layer, old Python packages installed by pip as another.

Made once and kept under ``$XDG_CACHE_HOME/scanguard-ci`` (or ``~/.cache``), because the root takes most of a
minute. The name of the kept folder says what is in it, so other contents make another one.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from oci_archive import Image, build_image
from parts import missing, program

SUITE = "bookworm"
OLD_PACKAGES = (
    "certifi==2018.11.29",
    "Django==2.2",
    "Flask==1.0",
    "idna==2.7",
    "Jinja2==2.10",
    "requests==2.19.1",
    "urllib3==1.24.1",
    "Werkzeug==0.14.1",
)
SITE_PACKAGES = "usr/local/lib/python3.11/site-packages"
CONFIG = {"Cmd": ["bash"], "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]}
CREATED = "2024-10-10T00:00:00+00:00"
MTIME = 1_728_518_400
BUILD_TIMEOUT_S = 600


def debian_image() -> Image:
    """The image, from the cache where it is there."""
    parts = repr((SUITE, OLD_PACKAGES, MTIME, "format 1"))
    kept = _cache() / f"debian-{SUITE}-{hashlib.sha256(parts.encode()).hexdigest()[:12]}"
    if not kept.is_dir():
        _keep(_build(), kept)
    blobs = {f"sha256:{path.name}": path.read_bytes() for path in (kept / "blobs").iterdir()}
    return Image((kept / "manifest.json").read_bytes(), blobs)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scanguard-ci"


def _keep(image: Image, folder: Path) -> None:
    """Write beside and rename, so that an interrupted build leaves nothing that looks whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=folder.parent))
    (beside / "blobs").mkdir()
    for digest, data in image.blobs.items():
        (beside / "blobs" / digest.removeprefix("sha256:")).write_bytes(data)
    (beside / "manifest.json").write_bytes(image.manifest)
    try:
        beside.rename(folder)
    except OSError:  # somebody else was faster; theirs is as good
        shutil.rmtree(beside)


def _build() -> Image:
    debootstrap = program("debootstrap", "debootstrap")
    if os.geteuid() != 0:
        missing("debootstrap needs root")
    with tempfile.TemporaryDirectory() as folder:
        root, python = Path(folder, "root"), Path(folder, "python")
        mirror = _mirror()
        _run(debootstrap, "--variant=minbase", SUITE, str(root), *([mirror] if mirror else []))
        for leftover in ("var/cache/apt/archives", "var/lib/apt/lists"):
            shutil.rmtree(root / leftover, ignore_errors=True)
        options = (
            "--quiet",
            "--no-deps",
            "--no-compile",
            "--only-binary=:all:",
            "--target",
            str(python / SITE_PACKAGES),
        )
        _run(sys.executable, "-m", "pip", "install", *options, *OLD_PACKAGES)
        layers = [_tar(root), _tar(python)]
    return build_image(layers, created=CREATED, config=CONFIG, level=1)


def _mirror() -> str | None:
    """The mirror apt uses here, for debootstrap's own default is not reachable from everywhere."""
    command = ("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", f"Codename: {SUITE}")
    listed = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)  # noqa: S603  # fixed command
    return next(iter(listed.stdout.split()), None)


def _tar(folder: Path) -> bytes:
    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.mtime, info.uname, info.gname = MTIME, "", ""
        return info

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name, filter=plain)
    return buffer.getvalue()


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S)  # noqa: S603  # our own arguments
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
