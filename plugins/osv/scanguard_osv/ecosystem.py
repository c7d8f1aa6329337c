"""From a distribution to the name OSV keeps its advisories under.

Source: https://ossf.github.io/osv-schema/#defined-ecosystems (schema 1.7).
"""

from __future__ import annotations

import re

from scanguard_osv.os_release import OsRelease
from scanguard_osv.packages import PackageKind

PYPI = "PyPI"
SUPPORTED_BASES = frozenset(("Debian", "Ubuntu", "Alpine", "Wolfi", "Chainguard", PYPI))
"""Ecosystems (without release) that can be read from an image and matched."""

_NUMBERED = re.compile(r"(\d{1,3})(?:\.(\d{1,3}))?(?:\.\d{1,5})?")
_UBUNTU = re.compile(r"(\d{1,2})\.(04|06|10)(?:\.\d{1,2})?")
_ROLLING = {"wolfi": "Wolfi", "chainguard": "Chainguard"}
KIND_OF_ID = {
    "debian": PackageKind.DEB,
    "ubuntu": PackageKind.DEB,
    "alpine": PackageKind.APK,
    "wolfi": PackageKind.APK,
    "chainguard": PackageKind.APK,
}
"""The package database each supported distribution has."""


def base_of(ecosystem: str) -> str:
    """The ecosystem without its release: ``Debian:12`` → ``Debian``."""
    return ecosystem.partition(":")[0]


def ecosystem_of(system: OsRelease) -> str | None:
    """The OSV ecosystem of a distribution, or None when OSV has none for it or the release is not named.

    Debian testing and sid have no VERSION_ID and Alpine edge has one with a suffix (``3.19_alpha20230901``);
    neither is a release that advisories are kept for, so neither is guessed.
    """
    if system.id in _ROLLING:
        return _ROLLING[system.id]
    numbered = _NUMBERED.fullmatch(system.version_id)
    if system.id == "debian" and numbered:
        return f"Debian:{numbered[1]}"
    if system.id == "alpine" and numbered and numbered[2]:
        return f"Alpine:v{numbered[1]}.{numbered[2]}"
    ubuntu = _UBUNTU.fullmatch(system.version_id)
    if system.id == "ubuntu" and ubuntu:
        return f"Ubuntu:{ubuntu[1]}.{ubuntu[2]}{_lts_suffix(int(ubuntu[1]), ubuntu[2])}"
    return None


def lookups_of(ecosystem: str) -> tuple[str, ...]:
    """Every ecosystem to ask about a package of ``ecosystem``, the most exact first.

    An Ubuntu LTS release past its standard support has its advisories under ``Ubuntu:Pro:…``.
    """
    if ecosystem.startswith("Ubuntu:") and ecosystem.endswith(":LTS"):
        return (ecosystem, ecosystem.replace("Ubuntu:", "Ubuntu:Pro:", 1))
    return (ecosystem,)


def applies_to(entry: str, ecosystem: str) -> bool:
    """Whether an advisory entry's ecosystem covers packages of ``ecosystem``.

    A release suffix scopes the entry to that release; an entry without one is for every release (schema).
    """
    return entry == ecosystem or entry == base_of(ecosystem)


def _lts_suffix(year: int, month: str) -> str:
    """Ubuntu's LTS releases are the April ones of even years, and 6.06 (https://ubuntu.com/about/release-cycle)."""
    return ":LTS" if (month == "04" and year % 2 == 0) or (year, month) == (6, "06") else ""
