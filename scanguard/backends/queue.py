"""The queue in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from pydantic import ValidationError

from scanguard.backends.sqlite import Database, from_micros, to_micros
from scanguard.errors import ConflictError
from scanguard.ports import Clock, Delivery, Lane, Message, Outgoing, QueueDepth
from scanguard.tokens import unique_token


class SqliteQueue:
    """:class:`~scanguard.ports.Queue` in a table. A receipt is the row's number and a token drawn at each take."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._was_empty = True

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Make messages durable, all in one transaction."""
        if not messages:
            return
        now = to_micros(self._clock.now())
        rows = [
            (
                out.message.lane.value,
                out.message.model_dump_json(),
                to_micros(out.not_before) if out.not_before else now,
            )
            for out in messages
        ]
        await self._database.write(
            lambda db: db.executemany("INSERT INTO queue (lane, body, visible_at) VALUES (?, ?, ?)", rows)
        )

    async def receive(self, lanes: Sequence[Lane], *, limit: int, visibility_s: float) -> Sequence[Delivery]:
        """Take visible messages, earlier lanes first."""
        now = self._clock.now()
        until = to_micros(now + timedelta(seconds=visibility_s))

        def work(db: sqlite3.Connection) -> list[Delivery]:
            taken: list[Delivery] = []
            for lane in lanes:
                for number, body, delivered in db.execute(
                    "SELECT id, body, delivered FROM queue WHERE lane = ? AND visible_at <= ? "
                    "ORDER BY visible_at, id LIMIT ?",
                    (lane.value, to_micros(now), limit - len(taken)),
                ).fetchall():
                    token = unique_token()
                    db.execute(
                        "UPDATE queue SET visible_at = ?, receipt = ?, delivered = delivered + 1 WHERE id = ?",
                        (until, token, number),
                    )
                    taken.append(_delivery(body, f"{number}:{token}", delivered + 1))
            return taken

        if self._was_empty and not await self._database.read(lambda db: _has_visible(db, lanes, to_micros(now))):
            return []  # an idle worker takes no lock that others need
        taken = await self._database.write(work)
        self._was_empty = not taken
        return taken

    async def extend(self, delivery: Delivery, visibility_s: float) -> Delivery:
        """Hold for longer, or ConflictError when the message was lost to somebody else."""
        until = to_micros(self._clock.now() + timedelta(seconds=visibility_s))
        if not await self._touch(delivery, "UPDATE queue SET visible_at = ? WHERE id = ? AND receipt = ?", until):
            raise ConflictError("the message was taken by somebody else", target=delivery.receipt)
        return replace(delivery)

    async def ack(self, delivery: Delivery) -> None:
        """Remove, if still held."""
        number, _, token = delivery.receipt.partition(":")
        await self._database.write(
            lambda db: db.execute("DELETE FROM queue WHERE id = ? AND receipt = ?", (int(number), token))
        )

    async def release(self, delivery: Delivery, not_before: datetime | None = None) -> None:
        """Give back, if still held."""
        visible = to_micros(not_before or self._clock.now())
        await self._touch(
            delivery, "UPDATE queue SET visible_at = ?, receipt = '' WHERE id = ? AND receipt = ?", visible
        )

    async def next_visible(self, lanes: Sequence[Lane]) -> datetime | None:
        """When the earliest message is visible."""
        marks = ", ".join("?" for _ in lanes)
        (micros,) = await self._database.read(
            lambda db: db.execute(
                f"SELECT MIN(visible_at) FROM queue WHERE lane IN ({marks})",  # noqa: S608  # marks only
                [lane.value for lane in lanes],
            ).fetchone()
        )
        return None if micros is None else from_micros(micros)

    async def depths(self) -> Mapping[Lane, QueueDepth]:
        """How full every lane is."""
        now = to_micros(self._clock.now())
        found = await self._database.read(
            lambda db: db.execute(
                "SELECT lane, COUNT(*), MIN(CASE WHEN visible_at <= ? THEN visible_at END) FROM queue GROUP BY lane",
                (now,),
            ).fetchall()
        )
        depths = {
            lane: QueueDepth(number, None if since is None else from_micros(since)) for lane, number, since in found
        }
        return {lane: depths.get(lane.value, QueueDepth()) for lane in Lane}

    async def _touch(self, delivery: Delivery, statement: str, moment: int) -> bool:
        number, _, token = delivery.receipt.partition(":")
        changed = await self._database.write(lambda db: db.execute(statement, (moment, int(number), token)).rowcount)
        return changed == 1


def _has_visible(db: sqlite3.Connection, lanes: Sequence[Lane], now: int) -> bool:
    return any(
        db.execute("SELECT 1 FROM queue WHERE lane = ? AND visible_at <= ? LIMIT 1", (lane.value, now)).fetchone()
        for lane in lanes
    )


def _delivery(body: str, receipt: str, delivered: int) -> Delivery:
    try:
        message: Message | None = Message.model_validate_json(body)
    except ValidationError:
        message = None
    return Delivery(message=message, receipt=receipt, raw=body, delivered=delivered)
