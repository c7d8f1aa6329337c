"""What is stored, as people ask for it: by an image's spelling, page by page, with its deliveries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import JsonValue, ValidationError

from scanguard.engine.documents import OutboxItem, OutboxState
from scanguard.errors import InvalidReferenceError
from scanguard.model.reference import ImageReference
from scanguard.model.verdict import Verdict
from scanguard.ports import Backend, RecordQuery, Records

MAX_DEPTH: Final = 10_000
"""Most verdicts that pages lead through, newest first; as many as the command line lists."""
PRIVATE_KEYS: Final = ("lease", "lease_until", "traceparent")
"""Keys of a delivery that only workers need."""
_PAGE: Final = 100
_LENGTH: Final = re.compile(r"(\d{1,6})(m|h|d|w)")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str, now: datetime) -> datetime:
    """``30m``, ``24h``, ``7d``, ``2w`` before now, or ISO 8601 (UTC unless it says otherwise).

    Raises ValueError or OverflowError.
    """
    if length := _LENGTH.fullmatch(text):
        return now - timedelta(**{_UNITS[length[2]]: int(length[1])})
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def image_spellings(text: str) -> Iterator[str]:
    """The ways the records may know an image: as typed, normalised, and, without tag or digest, its repository."""
    yield text
    try:
        reference = ImageReference.parse(text)
    except InvalidReferenceError:  # a digest alone, or a local locator
        return
    yield str(reference)
    if reference.digest is None and ":" not in text.rpartition("/")[2]:
        yield reference.name


async def by_image(backend: Backend, query: RecordQuery) -> Sequence[Verdict]:
    """The query's answer for the first spelling of its image that has one."""
    for spelling in image_spellings(query.image or ""):
        if found := await backend.records.query(replace(query, image=spelling)):
            return found
    return ()


def still_there(verdicts: Sequence[Verdict]) -> Sequence[Verdict]:
    """Those whose deployment was not found gone; what is gone runs nothing now."""
    return [verdict for verdict in verdicts if verdict.closed_at is None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: at which verdict, how many before it, and under which spelling the image was found."""

    decided_at: datetime
    id: str
    passed: int
    image: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Verdicts, newest first; ``place`` is where to go on, None at the end."""

    verdicts: Sequence[Verdict]
    place: Place | None


async def page(backend: Backend, query: RecordQuery, after: Place | None) -> Page:
    """Up to ``query.limit`` verdicts that are older than ``after``.

    What is decided between two pages is newer than either and changes nothing about them.
    """
    if after is not None:
        query = replace(query, image=after.image)
    elif query.image is not None:
        found = await by_image_spelling(backend, query)
        if found is None:
            return Page((), None)
        query = replace(query, image=found)
    passed = after.passed if after else 0
    rest = await _older(backend.records, query, after, passed)
    shown = rest[: query.limit]
    depth = passed + len(shown)
    if len(rest) <= query.limit or depth >= MAX_DEPTH:
        return Page(shown, None)
    return Page(shown, Place(shown[-1].decided_at, shown[-1].id, depth, query.image))


async def by_image_spelling(backend: Backend, query: RecordQuery) -> str | None:
    """The first spelling of the query's image that has any verdict."""
    for spelling in image_spellings(query.image or ""):
        if await backend.records.query(replace(query, image=spelling, limit=1)):
            return spelling
    return None


async def _older(records: Records, query: RecordQuery, after: Place | None, passed: int) -> Sequence[Verdict]:
    """Verdicts past a place, one more than asked for if there are; reads on while newer ones came in between."""
    wanted = query.limit + 1
    limit = passed + wanted
    while True:
        found = await records.query(replace(query, limit=limit))
        rest = [one for one in found if after is None or (one.decided_at, one.id) < (after.decided_at, after.id)]
        if len(rest) >= wanted or len(found) < limit or limit >= MAX_DEPTH + wanted:
            return rest
        limit = min(limit * 2, MAX_DEPTH + wanted)


async def deliveries_of(backend: Backend, assessment: str) -> list[OutboxItem]:
    """Every delivery of an assessment that no later revision overtook; of an unreadable (newer) row nothing."""
    items: list[OutboxItem] = []
    after = ""
    while rows := await backend.state.page(OutboxItem.TABLE, assessment, after=after, limit=_PAGE):
        for row in rows:
            try:
                items.append(OutboxItem.model_validate(row.body))
            except ValidationError:
                continue
        after = rows[-1].key
    return sorted(
        (item for item in items if item.state is not OutboxState.OVERTAKEN),
        key=lambda item: (item.created_at, item.kind, item.instance),
    )


def delivery_json(item: OutboxItem) -> JsonValue:
    """A delivery as machines read it, without what only workers need."""
    document: JsonValue = item.model_dump(mode="json", exclude=set(PRIVATE_KEYS))
    return document
