"""State rows in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic_core import from_json, to_json

from scanguard.backends.sqlite import Database, from_micros, to_micros
from scanguard.errors import ConflictError
from scanguard.ports import Row
from scanguard.tokens import unique_token

_COLUMNS = "tbl, part, key, body, due, etag"


class SqliteState:
    """:class:`~scanguard.ports.StateStore` in a table; the etag is drawn anew with every write."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, table: str, partition: str, key: str = "") -> Row | None:
        """The row, or None."""
        found = await self._database.read(
            lambda db: db.execute(
                f"SELECT {_COLUMNS} FROM state WHERE tbl = ? AND part = ? AND key = ?",  # noqa: S608  # constant columns
                (table, partition, key),
            ).fetchone()
        )
        return _row(found) if found else None

    async def insert(self, row: Row) -> Row:
        """Create, or ConflictError."""
        fresh = _drawn_anew(row)

        def work(db: sqlite3.Connection) -> None:
            try:
                db.execute(f"INSERT INTO state ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", _values(fresh))  # noqa: S608  # constant columns
            except sqlite3.IntegrityError as exc:
                raise _conflict(row, "is already there") from exc

        await self._database.write(work)
        return fresh

    async def replace(self, row: Row) -> Row:
        """Write over the version read, or ConflictError."""
        fresh = _drawn_anew(row)

        def work(db: sqlite3.Connection) -> None:
            changed = db.execute(
                "UPDATE state SET body = ?, due = ?, etag = ? WHERE tbl = ? AND part = ? AND key = ? AND etag = ?",
                (*_values(fresh)[3:], row.table, row.partition, row.key, row.etag),
            ).rowcount
            if not changed:
                raise _conflict(row, "was changed by somebody else")

        await self._database.write(work)
        return fresh

    async def delete(self, row: Row) -> None:
        """Remove the version read, or any when no etag is given."""
        await self._database.write(
            lambda db: db.execute(
                "DELETE FROM state WHERE tbl = ? AND part = ? AND key = ? AND (etag = ? OR ? = '')",
                (row.table, row.partition, row.key, row.etag, row.etag),
            )
        )

    async def page(self, table: str, partition: str, *, after: str = "", limit: int = 100) -> Sequence[Row]:
        """Rows of a partition in key order."""
        found = await self._database.read(
            lambda db: db.execute(
                f"SELECT {_COLUMNS} FROM state WHERE tbl = ? AND part = ? AND key > ? ORDER BY key LIMIT ?",  # noqa: S608  # constant columns
                (table, partition, after, limit),
            ).fetchall()
        )
        return [_row(values) for values in found]

    async def overdue(self, before: datetime, *, limit: int = 100) -> Sequence[Row]:
        """Rows due at or before a moment, oldest first."""
        found = await self._database.read(
            lambda db: db.execute(
                f"SELECT {_COLUMNS} FROM state WHERE due <= ? ORDER BY due LIMIT ?",  # noqa: S608  # constant columns
                (to_micros(before), limit),
            ).fetchall()
        )
        return [_row(values) for values in found]


def _drawn_anew(row: Row) -> Row:
    return Row(row.table, row.partition, row.key, row.body, row.due, unique_token())


def _values(row: Row) -> tuple[Any, ...]:
    due = None if row.due is None else to_micros(row.due)
    return row.table, row.partition, row.key, to_json(row.body).decode(), due, row.etag


def _row(values: tuple[Any, ...]) -> Row:
    table, partition, key, body, due, etag = values
    return Row(table, partition, key, from_json(body), None if due is None else from_micros(due), etag)


def _conflict(row: Row, what: str) -> ConflictError:
    return ConflictError(f"row {row.table}/{row.partition}/{row.key} {what}", target=row.partition)
