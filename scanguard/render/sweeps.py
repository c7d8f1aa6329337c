"""Periodic jobs: a table, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from scanguard.render.document import BLANK, Block, Column, Document, Line, Span, Table
from scanguard.render.json_text import JSON_SCHEMA_VERSION, to_json
from scanguard.render.text import ago, instant, span_of


@dataclass(frozen=True, slots=True)
class JobLine:
    """A periodic job as it is shown.

    ``every_s`` and ``next_at`` are None for one that is not configured any more. ``failed_at`` says when its last run
    was given up; without it, ``error`` is what keeps the present run waiting.
    """

    name: str
    every_s: float | None
    started_at: datetime | None
    finished_at: datetime | None
    next_at: datetime | None
    is_running: bool
    done: int
    failures: int
    failed_at: datetime | None
    error: str
    error_kind: str


def jobs_document(jobs: Sequence[JobLine], *, now: datetime) -> Document:
    """A row each, then what is wrong with those that failed; says so when there are none."""
    if not jobs:
        return (Line.of("No configured instance has a periodic job."),)
    columns = (
        Column("JOB"),
        Column("EVERY"),
        Column("LAST"),
        Column("NEXT"),
        Column("DONE", right=True),
        Column("STATE", weight=1),
    )
    blocks: list[Block] = [Table(columns, tuple(_row(job, now) for job in jobs))]
    broken = [job for job in jobs if job.error]
    blocks += [BLANK] if broken else []
    blocks += [Line.of(Span(job.name, "strong"), f": {job.error}") for job in broken]
    return tuple(blocks)


def _row(job: JobLine, now: datetime) -> tuple[Span, ...]:
    return (
        Span(job.name, "strong"),
        Span("" if job.every_s is None else span_of(timedelta(seconds=job.every_s))),
        Span("" if job.started_at is None else ago(job.started_at, now)),
        Span(_next(job, now)),
        Span(f"{job.done:,}"),
        _state(job),
    )


def _next(job: JobLine, now: datetime) -> str:
    if job.next_at is None or job.is_running:
        return ""
    return "now" if job.next_at <= now else instant(job.next_at)


def _state(job: JobLine) -> Span:
    if job.every_s is None:
        return Span("not configured", "muted")
    if job.error:
        return Span("failed" if job.failed_at else "tries again", "bad")
    return Span("running" if job.is_running else "ok" if job.finished_at else "not yet run")


def jobs_json(jobs: Sequence[JobLine]) -> str:
    """``{"schema_version": 1, "sweeps": [...]}``."""
    rows: list[JsonValue] = [_json(job) for job in jobs]
    return to_json({"schema_version": JSON_SCHEMA_VERSION, "sweeps": rows})


def _json(job: JobLine) -> dict[str, JsonValue]:
    return {
        key: f"{value:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(value, datetime) else value
        for key, value in asdict(job).items()
    }
