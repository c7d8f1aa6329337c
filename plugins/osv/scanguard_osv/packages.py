"""What an image has installed, as the package databases say it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_FIELD_CHARS = 512
"""Longest name or version that is believed; real ones stay under 200."""


class PackageKind(StrEnum):
    """Which kind of package database a package was read from; the word is its purl type."""

    DEB = "deb"
    APK = "apk"
    PYPI = "pypi"


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """One installed package.

    ``source_name`` and ``source_version`` are what distributions key advisories by; for a package that is its
    own source, and for Python, they repeat name and version. ``path`` is the database or metadata file it was
    read from (no leading slash), ``layer`` the digest of the layer that file came from.
    """

    kind: PackageKind
    name: str
    version: str
    source_name: str
    source_version: str
    architecture: str = ""
    path: str = ""
    layer: str | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a parser made of one file: packages, and a line for each entry it could not read."""

    packages: tuple[InstalledPackage, ...] = ()
    problems: tuple[str, ...] = ()


def is_plausible(text: str) -> bool:
    """Whether a text can be a package's name or version: not empty, not huge, no space or control character."""
    return 0 < len(text) <= MAX_FIELD_CHARS and text.isprintable() and " " not in text
