"""Reads ``os-release``: which distribution an image is."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

PATHS = ("etc/os-release", "usr/lib/os-release")
"""Where it may be; the first found counts (os-release(5))."""

_LINE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_MAX_BYTES = 64 * 1024
_MAX_VALUE_CHARS = 256


@dataclass(frozen=True, slots=True)
class OsRelease:
    """A distribution: ``id`` in lower case (empty when the file names none), ``version_id`` empty when rolling."""

    id: str = ""
    version_id: str = ""
    codename: str = ""
    pretty_name: str = ""

    def __str__(self) -> str:
        return self.pretty_name or " ".join(part for part in (self.id, self.version_id) if part) or "an unnamed system"


def parse_os_release(data: bytes) -> OsRelease:
    """Read the file; lines that are no assignment are skipped, a value with broken quotes is taken as it stands."""
    values: dict[str, str] = {}
    for line in data[:_MAX_BYTES].decode("utf-8", "replace").splitlines():
        assignment = _LINE.fullmatch(line)
        if assignment:
            values[assignment[1]] = _unquote(assignment[2].strip())[:_MAX_VALUE_CHARS]
    return OsRelease(
        id=values.get("ID", "").lower(),
        version_id=values.get("VERSION_ID", ""),
        codename=values.get("VERSION_CODENAME", ""),
        pretty_name=values.get("PRETTY_NAME", ""),
    )


def _unquote(text: str) -> str:
    try:
        return " ".join(shlex.split(text))
    except ValueError:
        return text.strip("\"'")
