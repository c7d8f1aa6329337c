"""What was given up: a list, one letter with what to do about it, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from pydantic import JsonValue

from scanguard.render.advice import advice_for
from scanguard.render.document import Column, Document, Entries, Line, Span, Table
from scanguard.render.json_text import JSON_SCHEMA_VERSION, to_json
from scanguard.render.text import ago, count, instant, short_id


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it is shown.

    ``subject`` is the resource, the image or the destination; ``instance`` the scanner, sink or notifier;
    ``assessment`` is empty for a scan, which belongs to many.
    """

    kind: str
    id: str
    assessment: str
    subject: str
    instance: str
    error: str
    error_kind: str
    attempts: int
    died_at: datetime


def remedy(letter: Letter) -> str:
    """What to do: about the cause, and then with the letter."""
    cause = advice_for(letter.error_kind)
    then = f"`scanguard dead-letters replay {short_id(letter.id)}`, or drop it with a reason"
    return f"{cause}; then {then}" if cause else then


def letters_document(letters: Sequence[Letter], *, now: datetime) -> Document:
    """A row each, newest first; says so when there are none."""
    if not letters:
        return (Line.of("Nothing was given up."),)
    columns = (
        Column("DIED"),
        Column("KIND"),
        Column("WHAT", weight=2),
        Column("BY", needs=100),
        Column("WHY", weight=1),
        Column("ID"),
    )
    return (Table(columns, tuple(_row(letter, now) for letter in letters)),)


def _row(letter: Letter, now: datetime) -> tuple[Span, ...]:
    return (
        Span(ago(letter.died_at, now)),
        Span(letter.kind),
        Span(letter.subject),
        Span(letter.instance),
        Span(letter.error, "bad"),
        Span(short_id(letter.id), "muted"),
    )


def letter_document(letter: Letter, *, now: datetime) -> Document:
    """Everything about one letter."""
    rows = [
        ("id", letter.id),
        ("kind", letter.kind),
        ("what", letter.subject),
        ("by", letter.instance),
        ("died", f"{ago(letter.died_at, now)} ({instant(letter.died_at)}), after {count(letter.attempts, 'attempt')}"),
        ("why", letter.error),
        ("what to do", remedy(letter)),
    ]
    if letter.kind == "delivery":
        rows.insert(3, ("verdict", f"`scanguard explain {short_id(letter.assessment)}`"))
    entries = tuple((Span(label, "muted"), Line.of(value)) for label, value in rows if value)
    return (Entries(entries),)


def letter_json(letter: Letter) -> dict[str, JsonValue]:
    """One letter as JSON, with its remedy."""
    return {**asdict(letter), "died_at": f"{letter.died_at:%Y-%m-%dT%H:%M:%S.%fZ}", "remedy": remedy(letter)}


def letters_json(letters: Sequence[Letter]) -> str:
    """``{"schema_version": 1, "dead_letters": [...]}``."""
    rows: list[JsonValue] = [letter_json(letter) for letter in letters]
    return to_json({"schema_version": JSON_SCHEMA_VERSION, "dead_letters": rows})
