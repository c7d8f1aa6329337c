"""Keeps advisories fetched from the service, by id and modification date."""

from __future__ import annotations

import contextlib
import sqlite3
import zlib
from collections.abc import Sequence
from pathlib import Path

from scanguard_osv.advisory import MAX_RECORD_BYTES, Advisory, UnreadableAdvisoryError, parse_advisory

MAX_ADVISORIES = 100_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS advisory_1 (
    id TEXT NOT NULL, modified TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (id, modified)
);
"""


class AdvisoryCache:
    """A cache that may fail: whatever goes wrong with it costs a fetch and nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, wanted: Sequence[tuple[str, str]]) -> dict[str, Advisory]:
        """The advisories (by id) that are here in exactly the version (id, modified) asked for."""
        found: dict[str, Advisory] = {}
        if not self._path.is_file():
            return found
        with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(self._connect()) as connection:
            for osv_id, modified in wanted:
                rows = connection.execute(
                    "SELECT body FROM advisory_1 WHERE id = ? AND modified = ?", (osv_id, modified)
                )
                for (body,) in rows:
                    with contextlib.suppress(zlib.error, UnreadableAdvisoryError):
                        found[osv_id] = parse_advisory(zlib.decompressobj().decompress(body, MAX_RECORD_BYTES))
        return found

    def put(self, fetched: Sequence[tuple[str, Advisory]]) -> None:
        """Keep advisories, each with the modification date it was asked for; drops the oldest past the limit."""
        with contextlib.suppress(sqlite3.Error, OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._remove_if_broken()
            with contextlib.closing(self._connect()) as connection:
                connection.executescript(f"PRAGMA journal_mode=WAL; {_SCHEMA} BEGIN;")
                connection.executemany(
                    "INSERT OR REPLACE INTO advisory_1 VALUES (?, ?, ?)",
                    [
                        (one.id, modified, zlib.compress(one.model_dump_json(exclude_defaults=True).encode()))
                        for modified, one in fetched
                    ],
                )
                connection.execute(
                    """DELETE FROM advisory_1 WHERE rowid IN (SELECT rowid FROM advisory_1
                    ORDER BY rowid DESC LIMIT -1 OFFSET ?)""",
                    (MAX_ADVISORIES,),
                )
                connection.execute("COMMIT")

    def _remove_if_broken(self) -> None:
        try:
            with contextlib.closing(self._connect()) as connection:
                connection.execute("PRAGMA schema_version").fetchall()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=5, isolation_level=None)
