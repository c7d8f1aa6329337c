"""Builds the image of the demo from real Debian packages and real Python wheels.

    .venv/bin/python tools/build_demo_image.py

Needs Debian 12 (apt-get, dpkg-deb) and the Python package index. ``demo_image_sources.json`` pins every
source by version and sha256; a source whose bytes differ stops the build. The uncompressed layers depend on
those bytes alone; the compressed ones, and with them the image's digest, also on the zlib that packs them.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from oci_archive import Entry, archive, build_image, digest_of, layer_tar

ROOT = Path(__file__).resolve().parent.parent
SOURCES = Path(__file__).with_name("demo_image_sources.json")
TARGET = ROOT / "examples" / "demo" / "image.tar"
PROVENANCE = ROOT / "examples" / "demo" / "PROVENANCE.md"
CREATED = datetime(2024, 10, 10, tzinfo=UTC)
"""The day of the advisory snapshot; a fixed date keeps the bytes the same."""
SITE_PACKAGES = "usr/local/lib/python3.11/site-packages"
CONFIG = {
    "Cmd": ["python3", "-m", "uvicorn", "assistant:app"],
    "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
    "Labels": {"org.opencontainers.image.title": "scanguard demo: data to scan, not to run"},
}


def main() -> None:
    """Fetch, check, pack, and write the image with its provenance."""
    sources = json.loads(SOURCES.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        debs = [fetch_deb(package, Path(folder)) for package in sources["debian"]["packages"]]
        wheels = [fetch_wheel(package, Path(folder)) for package in sources["pypi"]]
        mtime = int(CREATED.timestamp())
        layers = [layer_tar(debian_layer(debs), mtime=mtime), layer_tar(python_layer(wheels), mtime=mtime)]
    image = build_image(layers, created=CREATED.isoformat(), config=CONFIG)
    TARGET.write_bytes(archive(image, name="1.7.0", mtime=mtime))
    PROVENANCE.write_text(provenance(sources, image.digest, [digest_of(layer) for layer in layers]), encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size} bytes, {image.digest}")


def fetch_deb(package: Mapping[str, str], folder: Path) -> Path:
    """Download one Debian package with apt and check it."""
    target = folder / package["name"]
    target.mkdir()
    _run("apt-get", "download", "-q", f"{package['name']}={package['version']}", cwd=target)
    return _checked(target, package)


def fetch_wheel(package: Mapping[str, str], folder: Path) -> Path:
    """Download one wheel with pip and check it."""
    target = folder / package["name"]
    target.mkdir()
    requirement = f"{package['name']}=={package['version']}"
    options = ("--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(target))
    _run(sys.executable, "-m", "pip", "download", *options, requirement, cwd=target)
    return _checked(target, package)


def debian_layer(debs: list[Path]) -> list[Entry]:
    """The packages unpacked, with the database that dpkg would have written."""
    entries: dict[str, Entry] = {}
    stanzas = []
    for deb in debs:
        files = list(_deb_entries(deb))
        entries.update((entry.path, entry) for entry in files)
        control = _run("dpkg-deb", "--field", str(deb)).decode()
        stanzas.append(control.replace("\n", "\nStatus: install ok installed\n", 1))
        paths = "".join(f"/{entry.path}\n" for entry in files)
        listing = f"var/lib/dpkg/info/{_info_name(control)}.list"
        entries[listing] = Entry(listing, f"/.\n{paths}".encode())
    status = "var/lib/dpkg/status"
    entries[status] = Entry(status, "\n".join(stanzas).encode())
    return list(entries.values())


def python_layer(wheels: list[Path]) -> list[Entry]:
    """The wheels unpacked into site-packages, as an installer that compiles nothing would."""
    entries = []
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as content:
            names = [name for name in content.namelist() if not name.endswith("/")]
            entries += [Entry(f"{SITE_PACKAGES}/{name}", content.read(name)) for name in names]
    return entries


def provenance(sources: Mapping[str, object], digest: str, diff_ids: list[str]) -> str:
    """The page that says where every byte of the image comes from."""
    debian, pypi = sources["debian"], sources["pypi"]
    if not isinstance(debian, dict) or not isinstance(pypi, list):
        raise TypeError(f"{SOURCES.name} has another shape than this program knows")
    rows = [("Debian 12 package", package) for package in debian["packages"]]
    rows += [("wheel from PyPI", package) for package in pypi]
    table = "\n".join(
        f"| {kind} | {row['name']} | {row['version']} | {row['licence']} | `{row['sha256']}` |" for kind, row in rows
    )
    layers = "\n".join(f"- `{diff_id}` ({name})" for diff_id, name in zip(diff_ids, ("Debian", "Python"), strict=True))
    return _PAGE.format(digest=digest, layers=layers, table=table)


_PAGE = """# Where `image.tar` comes from

Written by `tools/build_demo_image.py`, which built the image from the sources below; do not edit.

The image is data to scan, not to run: there is no interpreter in it. It looks like an old web application in
Python on Debian 12: a layer of unmodified Debian packages (unpacked, with the package database that dpkg
writes) and a layer of unmodified wheels (unpacked). The old versions are chosen because they have known
vulnerabilities.

Image digest: `{digest}`

Layers, by the digest of their uncompressed tar:

{layers}

Every licence allows redistribution. The texts are in the image: `usr/share/doc/PACKAGE/copyright` and
`usr/share/common-licenses` for Debian, `PACKAGE-VERSION.dist-info` for Python.

| what | name | version | licence | sha256 of the source file |
|---|---|---|---|---|
{table}
"""


def _deb_entries(deb: Path) -> Iterator[Entry]:
    with tarfile.open(fileobj=io.BytesIO(_run("dpkg-deb", "--fsys-tarfile", str(deb)))) as tar:
        for member in tar:
            path = member.name.removeprefix("./").strip("/")
            if path in ("", "."):
                continue
            if member.isdir():
                yield Entry(path, mode=member.mode, is_dir=True)
            elif member.issym():
                yield Entry(path, mode=member.mode, link=member.linkname)
            elif (file := tar.extractfile(member)) is not None:
                yield Entry(path, file.read(), mode=member.mode)


def _info_name(control: str) -> str:
    """dpkg names the files of packages that may be installed for several architectures with theirs."""
    fields = dict(line.split(": ", 1) for line in control.splitlines() if ": " in line and not line.startswith(" "))
    shared = fields.get("Multi-Arch") == "same"
    return f"{fields['Package']}:{fields['Architecture']}" if shared else fields["Package"]


def _checked(folder: Path, package: Mapping[str, str]) -> Path:
    (file,) = folder.iterdir()
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != package["sha256"]:
        raise SystemExit(f"{file.name}: sha256 is {found}, {SOURCES.name} says {package['sha256']}")
    return file


def _run(*command: str, cwd: Path | None = None) -> bytes:
    return subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE).stdout


if __name__ == "__main__":
    main()
