"""Area ``data``, the folder: there, writable (by writing), with room, on a disk that SQLite can use."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Final

from scanguard.doctor.check import Check, fail, ok, skipped, warn
from scanguard.doctor.file_systems import file_system_of
from scanguard.tokens import unique_token

AREA: Final = "data"
MIB: Final = 1024 * 1024
LOW_BYTES: Final = 1024 * MIB
LOWEST_BYTES: Final = 100 * MIB
LOW_FILES: Final = 1_000
_PROBE_BYTES: Final = 4096
_ELSEWHERE: Final = "choose another folder with --data-dir or $SCANGUARD_DATA_DIR"
_NETWORK: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre"})


def check_writable(folder: Path) -> Check:
    """Write a small file, force it to the disk, and remove it; a folder that is not there yet is not made."""
    if not is_there(folder):
        return _not_there(folder)
    if not folder.is_dir():
        return fail(AREA, "folder", f"{folder} is no folder", f"remove what is there, or {_ELSEWHERE}")
    probe = folder / f".scanguard-doctor-{os.getpid()}-{unique_token()}"
    try:
        _write(probe)
    except OSError as exc:
        return fail(AREA, "folder", f"{folder} cannot be written: {exc.strerror or exc}", remedy_for_errno(exc.errno))
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return ok(AREA, "folder", f"{folder}: a file was written and removed")


def _write(path: Path) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, bytes(_PROBE_BYTES))
        os.fsync(handle)
    finally:
        os.close(handle)


def _not_there(folder: Path) -> Check:
    parent = nearest_folder(folder)
    if parent.is_dir() and os.access(parent, os.W_OK | os.X_OK):
        return ok(AREA, "folder", f"{folder} is not there yet; the first use makes it")
    detail = f"{folder} is not there or may not be seen, and {parent} does not let us make it"
    return fail(
        AREA, "folder", detail, f"make the folder and let the user that runs scanguard write it, or {_ELSEWHERE}"
    )


def is_there(path: Path) -> bool:
    """Whether we can see it; ``Path.exists`` raises where a folder above may not be entered."""
    return os.path.exists(path)


def nearest_folder(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    return next((one for one in (folder, *folder.parents) if is_there(one)), Path("/"))


def remedy_for_errno(number: int | None) -> str:
    """What to do when the operating system refuses to write."""
    match number:
        case errno.ENOSPC | errno.EDQUOT:
            return "make room on the disk, or raise the quota; nothing that was accepted is lost meanwhile"
        case errno.EROFS:
            return f"the disk is mounted read-only: mount it writable, or {_ELSEWHERE}"
        case errno.EACCES | errno.EPERM:
            return f"let the user that runs scanguard write the folder, or {_ELSEWHERE}"
        case errno.EIO:
            return "the disk fails: look at the system's log, and move the folder to another disk"
        case errno.EFBIG:
            return "raise the limit on file sizes (`ulimit -f`) of the process"
        case _:
            return f"look at the disk and its mount, or {_ELSEWHERE}"


def check_space(folder: Path) -> list[Check]:
    """Free bytes, and free files where the file system counts them."""
    place = nearest_folder(folder)
    checks = [judge_space(shutil.disk_usage(place).free)]
    if hasattr(os, "statvfs"):
        found = os.statvfs(place)
        if found.f_files and found.f_favail < LOW_FILES:
            remedy = "remove files nobody needs: this file system can hold only so many"
            checks.append(warn(AREA, "free files", f"only {found.f_favail:,} more files fit", remedy))
    return checks


def judge_space(free: int) -> Check:
    """Enough, little, or too little."""
    detail = f"{free / (1024 * MIB):,.1f} GiB free" if free >= LOW_BYTES else f"{free // MIB:,} MiB free"
    if free >= LOW_BYTES:
        return ok(AREA, "free space", detail)
    remedy = "make room on the disk, or move the folder (--data-dir) to a larger one"
    if free >= LOWEST_BYTES:
        return warn(AREA, "free space", f"{detail}, less than {LOW_BYTES // MIB:,} MiB", remedy)
    return fail(AREA, "free space", f"{detail}, less than {LOWEST_BYTES // MIB} MiB", remedy)


def check_file_system(folder: Path) -> Check:
    """SQLite's write-ahead log needs shared memory, which network file systems lack (https://sqlite.org/wal.html)."""
    kind = file_system_of(nearest_folder(folder))
    if kind is None:
        return skipped(AREA, "file system", "its kind cannot be told on this system")
    if kind in _NETWORK or kind.startswith("fuse.ssh"):
        return warn(
            AREA,
            "file system",
            f"{kind}: a network drive, on which the database can be damaged when two machines use it",
            "put the data folder on a local disk; a network drive is safe for one machine at most",
        )
    return ok(AREA, "file system", kind)
