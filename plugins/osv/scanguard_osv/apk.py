"""Reads apk's installed database (apk-tools 2 and 3, text format)."""

from __future__ import annotations

from collections.abc import Iterator

from scanguard_osv.packages import InstalledPackage, PackageKind, Parsed, is_plausible

DATABASE_PATHS = frozenset(("lib/apk/db/installed", "usr/lib/apk/db/installed"))
"""The second is where images with a merged ``/usr`` (Wolfi, Alpine from 3.22) keep it."""


def is_database(path: str) -> bool:
    """Whether a file is apk's installed database."""
    return path in DATABASE_PATHS


def parse_installed(data: bytes, *, path: str, layer: str | None = None) -> Parsed:
    """Read the database; an entry without name or version becomes a problem, not a package.

    Fields: https://wiki.alpinelinux.org/wiki/Apk_spec (P name, V version, A architecture, o origin).
    """
    packages: list[InstalledPackage] = []
    problems: list[str] = []
    for entry in _entries(data):
        name, version = entry.get("P", ""), entry.get("V", "")
        if is_plausible(name) and is_plausible(version):
            origin = entry.get("o", "")
            packages.append(
                InstalledPackage(
                    kind=PackageKind.APK,
                    name=name,
                    version=version,
                    source_name=origin if is_plausible(origin) else name,
                    source_version=version,
                    architecture=entry.get("A", ""),
                    path=path,
                    layer=layer,
                )
            )
        else:
            problems.append(f"{path}: package {name[:80] or 'without a name'} has no usable version")
    return Parsed(tuple(packages), tuple(problems))


def owned_paths(data: bytes) -> Iterator[str]:
    """Yield every file the database says a package owns, without a leading slash."""
    folder = ""
    for line in data.decode("utf-8", "replace").splitlines():
        if line.startswith("F:"):
            folder = line[2:].strip("/")
        elif line.startswith("R:"):
            yield f"{folder}/{line[2:]}" if folder else line[2:]


def _entries(data: bytes) -> Iterator[dict[str, str]]:
    entry: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        if not line.strip():
            if entry:
                yield entry
            entry = {}
        elif line[1:2] == ":":
            entry.setdefault(line[0], line[2:].strip())
    if entry:
        yield entry
