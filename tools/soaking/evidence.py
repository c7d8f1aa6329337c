"""What is there when all is over: read through the ports, and from the files that plugins wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scanguard.builtin.scripted_memory import Call
from scanguard.engine.dead import DeadKind, DeadLetter
from scanguard.engine.documents import Assessment, OutboxItem, Waiter
from scanguard.engine.store import Store, read_document
from scanguard.model.verdict import Verdict
from scanguard.ports import ALL_LANES, Backend, RecordQuery
from scanguard.render.stored import StoredResult
from soaking.world import World

FAR_FUTURE = datetime(9000, 1, 1, tzinfo=UTC)
MAX_RECORDS = 1_000_000


@dataclass(frozen=True)
class Evidence:
    """All that the promises are checked against.

    Attributes:
        accepted: The resource of each event that was acknowledged, by the assessment's id.
        expected: The digests that each resource runs.
        failing: Digests whose every scan fails.
        assessments: By id.
        verdicts: The records, by id.
        outbox: The deliveries of each assessment.
        copies: What the sink stored.
        notices: What the notifier was told.
        calls: What the scanner was asked.
        waiting: Assessments that stand in a task's queue though they have its report.
        letters: Ids of the tasks that a dead letter tells of.
        open_rows: Rows of state that somebody must look at again.
        has_messages: Whether the queue holds any.
        database: What the database says of itself: SQLite's ``quick_check``; ``ok`` where none can be asked.
        complaints: Processes that did not behave.
    """

    accepted: Mapping[str, str]
    expected: Mapping[str, tuple[str, ...]]
    failing: frozenset[str]
    assessments: Mapping[str, Assessment]
    verdicts: Mapping[str, Verdict]
    outbox: Mapping[str, Sequence[OutboxItem]]
    copies: Sequence[StoredResult]
    notices: Sequence[Mapping[str, Any]]
    calls: Sequence[Call]
    waiting: Sequence[str] = ()
    letters: frozenset[str] = frozenset()
    open_rows: Sequence[str] = ()
    has_messages: bool = False
    database: str = "ok"
    complaints: Sequence[str] = ()


async def gather(
    world: World, backend: Backend, accepted: Mapping[str, str], complaints: Sequence[str] = (), database: str = "ok"
) -> Evidence:
    """Read everything, through the ports of whatever backend it is; nobody works any more."""
    store = Store(backend.state)
    found = {id: await store.get(Assessment, id) for id in accepted}
    assessments = {id: one.document for id, one in found.items() if one}
    return Evidence(
        accepted=accepted,
        expected=world.expected(),
        failing=world.failing(),
        assessments=assessments,
        verdicts={one.id: one for one in await backend.records.query(RecordQuery(limit=MAX_RECORDS))},
        outbox={id: await _outbox(backend, id) for id in accepted},
        copies=[StoredResult.model_validate_json(path.read_bytes()) for path in sorted(world.copies.rglob("*.json"))],
        notices=[json.loads(line) for line in _lines(world.notices)],
        calls=[Call.model_validate_json(line) for line in _lines(world.calls)],
        waiting=await _waiting(backend, assessments),
        letters=await _letters(backend),
        open_rows=[f"{row.table}/{row.partition}" for row in await backend.state.overdue(FAR_FUTURE, limit=1000)],
        has_messages=await backend.queue.next_visible(ALL_LANES) is not None,
        database=database,
        complaints=complaints,
    )


async def is_idle(backend: Backend) -> bool:
    """Whether no message is left, and no row that somebody must look at."""
    if await backend.queue.next_visible(ALL_LANES) is not None:
        return False
    return not await backend.state.overdue(FAR_FUTURE, limit=1)


async def _outbox(backend: Backend, id: str) -> Sequence[OutboxItem]:
    return [read_document(OutboxItem, row) for row in await backend.state.page(OutboxItem.TABLE, id, limit=1000)]


async def _waiting(backend: Backend, assessments: Mapping[str, Assessment]) -> list[str]:
    """Who waits without need; whoever lacks a report stays, to be completed when it comes."""
    tasks = sorted({task for one in assessments.values() for task in one.tasks})
    rows = [row for task in tasks for row in await backend.state.page(Waiter.TABLE, task, limit=5000)]
    return [f"{row.key} for {row.partition}" for row in rows if row.partition not in assessments[row.key].unserved]


async def _letters(backend: Backend) -> frozenset[str]:
    rows = await backend.state.page(DeadLetter.TABLE, DeadKind.SCAN, limit=10_000)
    return frozenset(row.key for row in rows)


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines() if path.exists() else []
