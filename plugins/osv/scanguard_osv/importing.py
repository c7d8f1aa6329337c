"""Makes the database from exports, whole or not at all."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from scanguard.errors import BackendError, ConfigError
from scanguard_osv.advisory import Advisory
from scanguard_osv.database import DATABASE_SCHEMA_VERSION, SCHEMA, open_database
from scanguard_osv.ecosystem import base_of
from scanguard_osv.export import Record, read_export
from scanguard_osv.matching import normal_name

_EPOCH = datetime.fromtimestamp(0, UTC)
_MAX_LISTED_PROBLEMS = 1000


@dataclass(slots=True)
class SourceSummary:
    """What one export held.

    ``bases`` are the ecosystems it is an export of; entries about others (a PyPI advisory that names an npm
    package too) are counted in ``left_out``, for an export of one ecosystem says too little of the others.
    """

    source: str
    bases: tuple[str, ...] = ()
    records: int = 0
    withdrawn: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Ecosystem:
    """Running totals of one ecosystem over all exports of an import."""

    sources: list[str] = field(default_factory=list)
    withdrawn: int = 0
    broken: list[tuple[str, str]] = field(default_factory=list)
    newest: datetime = _EPOCH


def import_exports(
    paths: Sequence[Path],
    database: Path,
    *,
    now: datetime,
    ecosystems: Sequence[str] = (),
    on_record: Callable[[str], None] = lambda entry: None,
) -> list[SourceSummary]:
    """Import exports; each ecosystem they are exports of replaces what the database held of it.

    The new file takes the old one's place in one step when it is finished and on disk; an import that fails
    or is killed leaves the old one. ``ecosystems`` says what the exports are exports of, when that cannot be
    seen: it is the ecosystems that every record names, or, with none common to all, every one named.

    Raises ConfigError for a path that is no export or holds no record, and BackendError when the database
    cannot be written or another import is running.
    """
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(database):
            for leftover in database.parent.glob(f"{database.name}.new-*"):
                leftover.unlink(missing_ok=True)
            temporary = database.with_name(f"{database.name}.new-{os.getpid()}")
            try:
                with closing(sqlite3.connect(temporary, isolation_level=None)) as connection:
                    connection.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; {SCHEMA} BEGIN;")
                    totals: dict[str, _Ecosystem] = {}
                    summaries = [_import_one(connection, path, ecosystems, totals, on_record) for path in paths]
                    _finish(connection, database, totals, now)
                _sync(temporary)
                temporary.replace(database)
            finally:
                temporary.unlink(missing_ok=True)
        return summaries
    except (sqlite3.Error, OSError) as exc:
        raise BackendError(f"the OSV database {database} cannot be written: {exc}", plugin="osv") from exc


def _finish(connection: sqlite3.Connection, old: Path, totals: Mapping[str, _Ecosystem], now: datetime) -> None:
    _keep_others(connection, old, tuple(totals))
    for base, total in totals.items():
        _write_totals(connection, base, total, now)
    connection.execute("INSERT INTO meta VALUES ('schema_version', ?)", (str(DATABASE_SCHEMA_VERSION),))
    connection.execute("COMMIT")


def _import_one(
    connection: sqlite3.Connection,
    path: Path,
    wanted: Sequence[str],
    totals: dict[str, _Ecosystem],
    on_record: Callable[[str], None],
) -> SourceSummary:
    summary = SourceSummary(str(path), tuple(wanted) or _bases_of(path))
    if not summary.bases:
        raise ConfigError(f"{path}: holds no OSV record that names a package", target=str(path))
    mine = {base: totals.setdefault(base, _Ecosystem()) for base in summary.bases}
    for total in mine.values():
        total.sources.append(path.name if path.name != "all.zip" else f"{path.parent.name}/{path.name}")
    for record in read_export(path):
        on_record(record.entry)
        _take(connection, record, mine, summary)
    for total in mine.values():
        total.broken.extend(summary.problems)
    return summary


def _bases_of(path: Path) -> tuple[str, ...]:
    """The ecosystems that every record names: what this is an export of. None common to all: all of them."""
    common: set[str] | None = None
    named: set[str] = set()
    for record in read_export(path):
        bases = {base_of(package.ecosystem) for package in record.advisory.packages} if record.advisory else set()
        if bases:
            named |= bases
            common = bases if common is None else common & bases
    return tuple(sorted(common or named))


def _take(
    connection: sqlite3.Connection, record: Record, mine: Mapping[str, _Ecosystem], summary: SourceSummary
) -> None:
    advisory = record.advisory
    if advisory is None:
        summary.problems.append((record.entry, record.problem))
        return
    summary.records += 1
    summary.withdrawn += advisory.withdrawn is not None
    for base in dict.fromkeys(base_of(package.ecosystem) for package in advisory.packages):
        total = mine.get(base)
        if total is None:
            summary.left_out[base] += 1
            continue
        total.newest = max(total.newest, advisory.modified)
        total.withdrawn += advisory.withdrawn is not None
        _insert(connection, base, advisory)


def _insert(connection: sqlite3.Connection, base: str, advisory: Advisory) -> None:
    """Store a record with its entries of one ecosystem; of two with the same id the newer one stays."""
    entries = tuple(e for e in advisory.affected if e.package and base_of(e.package.ecosystem) == base)
    body = advisory.model_copy(update={"affected": entries}).model_dump_json(exclude_defaults=True)
    [(record,)] = connection.execute(
        """INSERT INTO record (base, osv_id, modified, body) VALUES (?, ?, ?, ?)
        ON CONFLICT (base, osv_id) DO UPDATE SET
            body = CASE WHEN excluded.modified > modified THEN excluded.body ELSE body END,
            modified = max(modified, excluded.modified)
        RETURNING id""",
        (base, advisory.id, advisory.modified.isoformat(timespec="microseconds"), zlib.compress(body.encode(), 6)),
    ).fetchall()
    connection.executemany(
        "INSERT OR IGNORE INTO affected VALUES (?, ?, ?)",
        [(e.package.ecosystem, normal_name(base, e.package.name), record) for e in entries if e.package],
    )


def _keep_others(connection: sqlite3.Connection, old: Path, replaced: Sequence[str]) -> None:
    """Copy what the old database holds of other ecosystems; one that cannot be read has nothing to give."""
    try:
        with open_database(old):
            pass
    except ConfigError:
        return
    marks = ",".join("?" * len(replaced))
    connection.execute("COMMIT")
    connection.execute("ATTACH ? AS old", (str(old),))
    connection.execute("BEGIN")
    [(offset,)] = connection.execute("SELECT coalesce(max(id), 0) FROM record").fetchall()
    for table in ("ecosystem", "release", "broken"):
        connection.execute(f"INSERT INTO {table} SELECT * FROM old.{table} WHERE base NOT IN ({marks})", replaced)  # noqa: S608  # names from this line
    connection.execute(
        f"INSERT INTO record SELECT id + ?, base, osv_id, modified, body FROM old.record WHERE base NOT IN ({marks})",  # noqa: S608  # only question marks
        (offset, *replaced),
    )
    connection.execute(
        f"""INSERT INTO affected SELECT a.ecosystem, a.name, a.record + ?
        FROM old.affected a JOIN old.record r ON r.id = a.record WHERE r.base NOT IN ({marks})""",  # noqa: S608  # only question marks
        (offset, *replaced),
    )


def _write_totals(connection: sqlite3.Connection, base: str, total: _Ecosystem, now: datetime) -> None:
    [(records,)] = connection.execute("SELECT count(*) FROM record WHERE base = ?", (base,)).fetchall()
    connection.execute(
        "INSERT INTO ecosystem VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            base,
            ", ".join(dict.fromkeys(total.sources)),
            records,
            total.withdrawn,
            len(total.broken),
            min(total.newest, now).isoformat(),  # a date in the future must not keep the data fresh for ever
            now.isoformat(),
        ),
    )
    connection.execute(
        """INSERT INTO release SELECT a.ecosystem, r.base, count(DISTINCT a.record)
        FROM affected a JOIN record r ON r.id = a.record WHERE r.base = ? GROUP BY a.ecosystem""",
        (base,),
    )
    connection.executemany(
        "INSERT INTO broken VALUES (?, ?, ?)", [(base, *problem) for problem in total.broken[:_MAX_LISTED_PROBLEMS]]
    )


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


@contextmanager
def _only_one(database: Path) -> Iterator[None]:
    """Hold a lock that ends with the process: two imports at once would each lose the other's ecosystems."""
    lock = database.with_name(f"{database.name}.lock")
    with closing(sqlite3.connect(lock, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as exc:
            raise BackendError(f"another import into {database} is running; wait for it", plugin="osv") from exc
        yield
