"""Verdicts in SQLite, with the indexes that people's questions need."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from scanguard.backends.sqlite import Database, to_micros
from scanguard.model.verdict import ImageVerdict, Verdict
from scanguard.ports import RecordQuery

_LATEST = """NOT EXISTS (SELECT 1 FROM verdict newer WHERE newer.resource = v.resource
    AND (newer.seen_at, newer.id) > (v.seen_at, v.id))"""


class SqliteRecords:
    """:class:`~scanguard.ports.Records` in tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, verdict: Verdict) -> None:
        """Store, unless a higher revision is stored."""
        await self._database.write(lambda db: _save(db, verdict))

    async def index(self, digest: str, vulnerabilities: Sequence[str]) -> None:
        """Replace what is known of an image."""

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM vulnerability WHERE digest = ?", (digest,))
            rows = [(name.upper(), digest) for name in vulnerabilities]
            db.executemany("INSERT OR IGNORE INTO vulnerability (id, digest) VALUES (?, ?)", rows)

        await self._database.write(work)

    async def query(self, query: RecordQuery) -> Sequence[Verdict]:
        """The verdicts that match, newest first."""
        where, values = _conditions(query)
        statement = f"SELECT body FROM verdict v WHERE {' AND '.join(where)} ORDER BY decided_at DESC, id DESC LIMIT ?"  # noqa: S608  # constant conditions
        found = await self._database.read(lambda db: db.execute(statement, (*values, query.limit)).fetchall())
        return [Verdict.model_validate_json(body) for (body,) in found]

    async def previous(self, resource_id: str, before_id: str) -> Verdict | None:
        """The deployment's newest verdict of another assessment."""
        found = await self._database.read(
            lambda db: db.execute(
                "SELECT body FROM verdict WHERE resource = ? AND id <> ? ORDER BY seen_at DESC, id DESC LIMIT 1",
                (resource_id.lower(), before_id),
            ).fetchone()
        )
        return Verdict.model_validate_json(found[0]) if found else None


def _save(db: sqlite3.Connection, verdict: Verdict) -> None:
    stored = db.execute("SELECT revision FROM verdict WHERE id = ?", (verdict.id,)).fetchone()
    if stored and stored[0] > verdict.revision:
        return
    db.execute(
        "INSERT OR REPLACE INTO verdict (id, revision, resource, seen_at, decided_at, body) VALUES (?, ?, ?, ?, ?, ?)",
        (
            verdict.id,
            verdict.revision,
            verdict.deployment.resource_id.lower(),
            to_micros(verdict.deployment.seen_at),
            to_micros(verdict.decided_at),
            verdict.model_dump_json(),
        ),
    )
    db.execute("DELETE FROM verdict_image WHERE id = ?", (verdict.id,))
    rows = [(verdict.id, position, *_image_columns(image)) for position, image in enumerate(verdict.images)]
    db.executemany("INSERT INTO verdict_image VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def _image_columns(image: ImageVerdict) -> tuple[str, str, str, str, int]:
    worst = max((severity.rank for severity, count in image.counts.items() if count), default=-1)
    if image.image is None:
        return image.name, "", "", "", worst
    reference = str(image.image.reference) if image.image.reference else image.image.source
    return image.name, reference, image.image.repository, image.image.digest, worst


def _conditions(query: RecordQuery) -> tuple[list[str], list[Any]]:
    where: list[str] = ["1 = 1"]
    values: list[Any] = []

    def also(condition: str, *given: object) -> None:
        where.append(condition)
        values.extend(given)

    if query.id is not None:
        also("v.id >= ? AND v.id < ?", query.id, query.id + "\U0010ffff")
    if query.resource is not None:
        also("v.resource = ?", query.resource.lower())
    if query.since is not None:
        also("v.decided_at >= ?", to_micros(query.since))
    if query.image is not None:
        also(
            "v.id IN (SELECT id FROM verdict_image WHERE repository = ? UNION SELECT id FROM verdict_image "
            "WHERE reference = ? UNION SELECT id FROM verdict_image WHERE name = ? "
            "UNION SELECT id FROM verdict_image WHERE digest = ?)",
            *[query.image] * 4,
        )
    if query.severity is not None:
        also("v.id IN (SELECT id FROM verdict_image WHERE worst >= ?)", query.severity.rank)
    if query.vulnerability is not None:
        also(
            "v.id IN (SELECT i.id FROM verdict_image i JOIN vulnerability x ON x.digest = i.digest WHERE x.id = ?)",
            query.vulnerability.upper(),
        )
    if query.latest_only or query.vulnerability is not None:
        where.append(_LATEST)
    return where, values
