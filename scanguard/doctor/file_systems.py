"""Which kind of file system a folder is on (Linux)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mountinfo")
_MAX_BYTES: Final = 4 * 1024 * 1024
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def file_system_of(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """Its type, such as ``ext4`` or ``cifs``; None where the kernel does not say."""
    try:
        with mounts.open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8", "surrogateescape")
        path = folder.resolve()
    except OSError:
        return None
    return kind_of(path, text)


def kind_of(path: Path, mountinfo: str) -> str | None:
    """The type of the deepest mount point at or above a path.

    The format is that of proc_pid_mountinfo(5): the mount point is the fifth field, the type follows `` - ``.
    """
    best: tuple[int, str] | None = None
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        fields = left.split(" ")
        if not dash or len(fields) < 6:
            continue
        point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        depth = len(point.parts)
        if path.is_relative_to(point) and (best is None or depth >= best[0]):
            best = (depth, right.split(" ")[0])
    return best[1] if best else None
