"""The imported database: one SQLite file, opened read-only, looked up by ecosystem and name."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scanguard.errors import ConfigError, ScannerOutputError, ScannerUnavailableError
from scanguard_osv.advisory import MAX_RECORD_BYTES, Advisory, UnreadableAdvisoryError, parse_advisory
from scanguard_osv.ecosystem import applies_to, base_of, lookups_of

DATABASE_SCHEMA_VERSION = 1
"""Version of the file's tables; a file of another version is refused with the advice to import again."""

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE ecosystem (
    base TEXT PRIMARY KEY, source TEXT NOT NULL, records INTEGER NOT NULL, withdrawn INTEGER NOT NULL,
    broken INTEGER NOT NULL, newest_modified TEXT NOT NULL, imported_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE release (ecosystem TEXT PRIMARY KEY, base TEXT NOT NULL, records INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE record (
    id INTEGER PRIMARY KEY, base TEXT NOT NULL, osv_id TEXT NOT NULL, modified TEXT NOT NULL, body BLOB NOT NULL,
    UNIQUE (base, osv_id)
);
CREATE TABLE affected (
    ecosystem TEXT NOT NULL, name TEXT NOT NULL, record INTEGER NOT NULL,
    PRIMARY KEY (ecosystem, name, record)
) WITHOUT ROWID;
CREATE TABLE broken (base TEXT NOT NULL, entry TEXT NOT NULL, problem TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class EcosystemInfo:
    """What the database holds of one ecosystem (without release).

    ``newest_modified`` is the date of the newest record, which dates the data; ``imported_at`` only says when
    it was brought in. ``broken`` counts records that could not be read.
    """

    base: str
    source: str
    records: int
    withdrawn: int
    broken: int
    newest_modified: datetime
    imported_at: datetime


class AdvisoryDatabase:
    """An open database; safe to use from one thread at a time. Close it."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._advisories: dict[int, Advisory] = {}

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def ecosystems(self) -> Sequence[EcosystemInfo]:
        """Everything the database holds, by name."""
        rows = self._rows(
            "SELECT base, source, records, withdrawn, broken, newest_modified, imported_at FROM ecosystem ORDER BY base"
        )
        return [
            EcosystemInfo(base, source, records, withdrawn, broken, _instant(newest), _instant(imported))
            for base, source, records, withdrawn, broken, newest, imported in rows
        ]

    def ecosystem(self, base: str) -> EcosystemInfo | None:
        """What the database holds of one ecosystem, or None."""
        return next((info for info in self.ecosystems() if info.base == base), None)

    def releases(self) -> Sequence[tuple[str, int]]:
        """Each ecosystem with release that a record names, and how many do."""
        return [
            (str(row[0]), int(row[1]))
            for row in self._rows("SELECT ecosystem, records FROM release ORDER BY ecosystem")
        ]

    def has_release(self, ecosystem: str) -> bool:
        """Whether any record speaks of this ecosystem and release."""
        held = [name for name, _ in self.releases()]
        return any(applies_to(name, one) for one in lookups_of(ecosystem) for name in held)

    def broken(self, base: str) -> Sequence[tuple[str, str]]:
        """Entries of the import that could not be read, with the reason (the first thousand)."""
        return [(str(a), str(b)) for a, b in self._rows("SELECT entry, problem FROM broken WHERE base = ?", base)]

    def advisories(self, ecosystem: str, name: str) -> Sequence[Advisory]:
        """Every advisory that names a package, for its release or for all releases."""
        names = dict.fromkeys((*lookups_of(ecosystem), *map(base_of, lookups_of(ecosystem))))
        marks = ",".join("?" * len(names))
        rows = self._rows(
            f"SELECT DISTINCT record FROM affected WHERE ecosystem IN ({marks}) AND name = ? ORDER BY record",  # noqa: S608  # only question marks are put in
            *names,
            name,
        )
        return [self._advisory(int(row[0])) for row in rows]

    def _advisory(self, record: int) -> Advisory:
        known = self._advisories.get(record)
        if known is None:
            [(body,)] = self._rows("SELECT body FROM record WHERE id = ?", record)
            known = self._advisories[record] = self._decode(body)
        return known

    def _decode(self, body: bytes) -> Advisory:
        try:
            return parse_advisory(zlib.decompressobj().decompress(body, MAX_RECORD_BYTES))
        except (zlib.error, UnreadableAdvisoryError) as exc:
            raise ScannerOutputError(
                f"the OSV database {self._path} is damaged; import it again", plugin="osv"
            ) from exc

    def _rows(self, query: str, *values: object) -> list[Any]:
        try:
            return list(self._connection.execute(query, values))
        except sqlite3.Error as exc:
            raise ScannerUnavailableError(f"the OSV database {self._path} cannot be read: {exc}", plugin="osv") from exc


@contextmanager
def open_database(path: Path) -> Iterator[AdvisoryDatabase]:
    """Open a database read-only.

    Raises ConfigError when there is none or it is of another version, naming the command that makes one.
    """
    advice = "run: scanguard osv import PATH (a zip from https://osv-vulnerabilities.storage.googleapis.com)"
    if not path.is_file():
        raise ConfigError(f"no OSV database at {path}; {advice}", target=str(path))
    with closing(connect_read_only(path)) as connection:
        try:
            found = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
        except sqlite3.Error as exc:
            raise ConfigError(f"{path} is no OSV database ({exc}); {advice}", target=str(path)) from exc
        if found is None or found[0] != str(DATABASE_SCHEMA_VERSION):
            raise ConfigError(f"the OSV database {path} was made by another version; {advice}", target=str(path))
        yield AdvisoryDatabase(connection, path)


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Connect without locks or side files: a finished database is only ever replaced as a whole."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
