"""Reads what pip and setuptools leave beside an installed Python package."""

from __future__ import annotations

import csv
import posixpath
import re
from itertools import islice

from packaging.utils import canonicalize_name

from scanguard_osv.packages import InstalledPackage, PackageKind, Parsed, is_plausible
from scanguard_osv.stanzas import read_stanzas

_METADATA = re.compile(r"(?:.*/)?[^/]+(?:\.dist-info/METADATA|\.egg-info/PKG-INFO|\.egg/EGG-INFO/PKG-INFO|\.egg-info)")
_RECORD = re.compile(r"(?:.*/)?[^/]+\.dist-info/RECORD")
_MAX_RECORD_ROWS = 200_000
_MAX_HEADER_BYTES = 1024 * 1024


def is_metadata(path: str) -> bool:
    """Whether a file holds the core metadata of an installed distribution (PEP 427 and the older egg forms)."""
    return _METADATA.fullmatch(path) is not None


def is_record(path: str) -> bool:
    """Whether a file lists what a distribution installed."""
    return _RECORD.fullmatch(path) is not None


def parse_metadata(data: bytes, *, path: str, layer: str | None = None) -> Parsed:
    """Read Name and Version from the headers; the name is normalised by PEP 503.

    Metadata without one of them is a problem: something is installed that cannot be judged.
    """
    headers = next(iter(read_stanzas(data[:_MAX_HEADER_BYTES].decode("utf-8", "replace").lstrip("\ufeff"))), {})
    name, version = headers.get("name", ""), headers.get("version", "")
    if not is_plausible(name) or not is_plausible(version):
        return Parsed(problems=(f"{path}: no usable name and version",))
    name = canonicalize_name(name)
    package = InstalledPackage(PackageKind.PYPI, name, version, name, version, path=path, layer=layer)
    return Parsed(packages=(package,))


def parse_record(data: bytes, *, path: str) -> list[str]:
    """The paths outside its own folder that a distribution installed, such as its console scripts."""
    site_packages = posixpath.dirname(posixpath.dirname(path))
    try:
        rows = [
            row[0] for row in islice(csv.reader(data.decode("utf-8", "replace").splitlines()), _MAX_RECORD_ROWS) if row
        ]
    except csv.Error:
        return []
    outside = [
        row if row.startswith("/") else posixpath.join(site_packages, row) for row in rows if row[:1] in ("/", ".")
    ]
    return [posixpath.normpath(row).lstrip("/") for row in outside]
