"""Area ``data``, the database: it opens, is whole, has our schema, can be written, and its log does not grow."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scanguard.backends import DATABASE_NAME
from scanguard.backends.sqlite import SCHEMA_VERSION
from scanguard.doctor.check import Check, fail, ok, skipped, warn
from scanguard.doctor.folder_checks import is_there

AREA: Final = "data"
SUBJECT: Final = "database"
LOCK_TIMEOUT_S: Final = 3.0
QUICK_CHECK_S: Final = 12.0
WAL_BYTES: Final = 256 * 1024 * 1024
_STEPS: Final = 10_000
_SHOWN: Final = 3
_MIB: Final = 1024 * 1024
_DAMAGED: Final = (
    "stop scanguard, copy the folder, then restore a copy of the database, or try "
    '`sqlite3 scanguard.db ".recover"`; moving the file away starts afresh, without history'
)


def database_checks(folder: Path) -> list[Check]:
    """Look at the file without changing it; a file that is not there is not made."""
    path = folder / DATABASE_NAME
    if not is_there(path):
        return [skipped(AREA, SUBJECT, f"{path} is not there yet; the first use makes it")]
    checks = [*_wal(path)]
    try:
        with opened(path) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            checks.append(judge_version(path, version))
            checks.append(_quick_check(connection, path))
            checks.append(_write_lock(connection, path))
    except (sqlite3.Error, OSError) as exc:
        checks.append(_trouble(path, exc))
    return checks


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file that is there, with a short patience; it is neither made nor brought to another schema."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=LOCK_TIMEOUT_S
    )
    try:
        yield connection
    finally:
        with contextlib.suppress(sqlite3.Error):
            connection.close()


def judge_version(path: Path, version: int) -> Check:
    """Whether this scanguard can use the schema."""
    if version > SCHEMA_VERSION:
        return fail(
            AREA,
            "schema",
            f"{path} was written by a newer scanguard (schema {version}, this one reads {SCHEMA_VERSION})",
            "upgrade scanguard, or choose another folder with --data-dir",
        )
    if version < SCHEMA_VERSION:
        return ok(AREA, "schema", f"{version}; the next use brings it to {SCHEMA_VERSION}")
    return ok(AREA, "schema", str(version))


def _quick_check(connection: sqlite3.Connection, path: Path) -> Check:
    """``PRAGMA quick_check`` (https://sqlite.org/pragma.html#pragma_quick_check), given up after a while."""
    ends_at = time.monotonic() + QUICK_CHECK_S
    connection.set_progress_handler(lambda: time.monotonic() > ends_at, _STEPS)
    size = f"{path.stat().st_size / _MIB:,.1f} MiB"
    try:
        rows = [str(row[0]) for row in connection.execute(f"PRAGMA quick_check({_SHOWN + 1})")]
    except sqlite3.OperationalError as exc:
        if "interrupt" not in str(exc):
            raise
        return warn(
            AREA,
            SUBJECT,
            f"{path} opens; {size} could not be read through within {QUICK_CHECK_S:.0f} s, which is no fault of it",
            "run `sqlite3 scanguard.db 'PRAGMA quick_check'` when there is time",
        )
    finally:
        connection.set_progress_handler(None, 0)
    if rows == ["ok"]:
        return ok(AREA, SUBJECT, f"{path}: opens and is whole ({size})")
    said = "; ".join(row.replace("\n", ", ") for row in rows[:_SHOWN])
    return fail(AREA, SUBJECT, f"{path} is damaged: {said}", _DAMAGED)


def _write_lock(connection: sqlite3.Connection, path: Path) -> Check:
    """Take the lock that every write takes, and give it back."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.Error as exc:
        return _trouble(path, exc, "lock")
    return ok(AREA, "lock", "the database can be locked for writing")


def _trouble(path: Path, exc: Exception, subject: str = SUBJECT) -> Check:
    text = str(exc)
    if "locked" in text or "busy" in text:
        detail = f"another process has held {path} for more than {LOCK_TIMEOUT_S:.0f} s"
        return fail(AREA, subject, detail, f"find out which (`fuser {path.name}`, `lsof {path.name}`) and end it")
    if "malformed" in text or "not a database" in text or "corrupt" in text:
        return fail(AREA, subject, f"{path} is damaged: {text}", _DAMAGED)
    if "full" in text or "disk I/O" in text:
        remedy = "make room on the disk; if it has room, look at the system's log for a failing one"
        return fail(AREA, subject, f"{path} cannot be used: {text}", remedy)
    remedy = "let the user that runs scanguard read and write the folder and the file, or choose another --data-dir"
    return fail(AREA, subject, f"{path} cannot be used: {text}", remedy)


def _wal(path: Path) -> list[Check]:
    try:
        size = path.with_name(f"{path.name}-wal").stat().st_size
    except OSError:
        return []
    detail = f"the write-ahead log has {size / _MIB:,.1f} MiB"
    if size <= WAL_BYTES:
        return [ok(AREA, "log", detail)]
    remedy = "look for a process that keeps a reading transaction open, such as a backup or a shell, and end it"
    return [warn(AREA, "log", f"{detail}: something keeps it from being written back", remedy)]


def is_usable(path: Path) -> bool:
    """Whether the backend can open the file as it is, without making or changing its schema."""
    if not is_there(path):
        return False
    try:
        with opened(path) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchone()
    except (sqlite3.Error, OSError):
        return False
    return bool(version == SCHEMA_VERSION)
