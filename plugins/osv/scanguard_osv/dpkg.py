"""Reads dpkg's database: ``var/lib/dpkg/status``, and ``status.d/*`` of distroless images."""

from __future__ import annotations

import re
from collections.abc import Mapping

from scanguard_osv.packages import InstalledPackage, PackageKind, Parsed, is_plausible
from scanguard_osv.stanzas import read_stanzas

STATUS_PATH = "var/lib/dpkg/status"
STATUS_FOLDER = "var/lib/dpkg/status.d/"
LIST_FOLDER = "var/lib/dpkg/info/"

_SOURCE = re.compile(r"(?P<name>\S+)(?:\s*\((?P<version>[^()\s]+)\))?")
_UNPACKED_STATES = frozenset(
    ("installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending", "half-installed")
)
"""States of dpkg(1) in which a package's files are, or may be, on disk; ``config-files`` and ``not-installed``
are the others."""


def is_database(path: str) -> bool:
    """Whether a file is dpkg's status, whole or in distroless's one-file-per-package form."""
    return path == STATUS_PATH or (path.startswith(STATUS_FOLDER) and not path.endswith(".md5sums"))


def is_file_list(path: str) -> bool:
    """Whether a file lists the paths that one package owns."""
    return (path.startswith(LIST_FOLDER) and path.endswith(".list")) or (
        path.startswith(STATUS_FOLDER) and path.endswith(".md5sums")
    )


def parse_status(data: bytes, *, path: str = STATUS_PATH, layer: str | None = None) -> Parsed:
    """Read a status file.

    Every package whose files are on disk counts, configured or not. A stanza of ``status.d`` has no Status
    line and counts as installed. Bytes that are no UTF-8 are replaced, never refused.
    """
    packages: list[InstalledPackage] = []
    problems: list[str] = []
    for number, stanza in enumerate(read_stanzas(data.decode("utf-8", "replace")), start=1):
        if not _is_on_disk(stanza):
            continue
        package = _package(stanza, path, layer)
        if package is None:
            problems.append(f"{path}: entry {number} ({stanza.get('package', 'no name')[:80]}) has no usable version")
        else:
            packages.append(package)
    return Parsed(tuple(packages), tuple(problems))


def parse_file_list(data: bytes) -> list[str]:
    """The paths a ``.list`` (``/path`` lines) or ``.md5sums`` (``hash  path`` lines) file names, no leading slash."""
    lines = data.decode("utf-8", "replace").splitlines()
    return [line.rpartition("  ")[2].strip().removeprefix("./").lstrip("/") for line in lines if line.strip()]


def _is_on_disk(stanza: Mapping[str, str]) -> bool:
    status = stanza.get("status")
    return status is None or (status.split() or [""])[-1] in _UNPACKED_STATES


def _package(stanza: Mapping[str, str], path: str, layer: str | None) -> InstalledPackage | None:
    name, version = stanza.get("package", ""), stanza.get("version", "")
    if not is_plausible(name) or not is_plausible(version):
        return None
    source = _SOURCE.fullmatch(stanza.get("source") or name)
    source_name = source["name"] if source else ""
    source_version = (source["version"] if source else None) or version
    if not is_plausible(source_name) or not is_plausible(source_version):
        return None
    return InstalledPackage(
        kind=PackageKind.DEB,
        name=name,
        version=version,
        source_name=source_name,
        source_version=source_version,
        architecture=stanza.get("architecture", ""),
        path=path,
        layer=layer,
    )
