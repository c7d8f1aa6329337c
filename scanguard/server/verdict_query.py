"""The parameters of a list of verdicts, and its cursor."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError

from scanguard.app.stored import MAX_DEPTH, Place, parse_since
from scanguard.model.base import Model
from scanguard.model.severity import Severity
from scanguard.ports import RecordQuery
from scanguard.server.problems import RequestRefusedError

MAX_LIMIT: Final = 500
_MAX_TEXT: Final = 1024
_Text = Annotated[str, Field(min_length=1, max_length=_MAX_TEXT)]


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class VerdictQuery(Model):
    """What may stand in the query; every condition given must hold."""

    image: _Text | None = Field(default=None, description="A repository (every tag of it), a reference, or a digest.")
    since: _Text | None = Field(
        default=None, description="Decided since: 30m, 24h, 7d, 2w, 2024-01-15, or ISO 8601 (UTC unless it says so)."
    )
    severity: Annotated[Literal["CRITICAL", "HIGH", "MEDIUM", "LOW", "NEGLIGIBLE"] | None, BeforeValidator(_upper)] = (
        Field(default=None, description="With at least one finding of this severity or above.")
    )
    vulnerability: _Text | None = Field(
        default=None, description="What runs this vulnerability now, by each deployment's latest verdict."
    )
    resource: _Text | None = Field(default=None, description="Of one deployment, by its resource id.")
    cursor: _Text | None = Field(
        default=None, description="`next_cursor` of the page before, with the same conditions."
    )
    limit: int = Field(default=50, ge=1, le=MAX_LIMIT, description="Most verdicts of a page, newest first.")


def read_query(given: list[tuple[str, str]], now: datetime) -> tuple[RecordQuery, Place | None]:
    """What is asked for; RequestRefusedError (400) naming the parameter that is wrong."""
    names = [name for name, _ in given]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise _wrong(f"{_shown(sorted(repeated)[0])} stands there more than once")
    try:
        query = VerdictQuery.model_validate(dict(given))
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False)[0]
        name = _shown(str(fault["loc"][0]))
        known = ", ".join(VerdictQuery.model_fields)
        unknown = fault["type"] == "extra_forbidden"
        raise _wrong(f"there is no {name}; there are {known}" if unknown else f"{name}: {fault['msg']}") from exc
    place = None if query.cursor is None else read_cursor(query.cursor)
    return _record_query(query, now), place


def _record_query(query: VerdictQuery, now: datetime) -> RecordQuery:
    try:
        since = None if query.since is None else parse_since(query.since.strip(), now)
    except (ValueError, OverflowError) as exc:
        raise _wrong("since: write 30m, 24h, 7d, 2w, 2024-01-15 or 2024-01-15T10:00:00Z") from exc
    return RecordQuery(
        image=query.image,
        resource=query.resource,
        since=since,
        severity=Severity(query.severity) if query.severity else None,
        vulnerability=query.vulnerability,
        limit=query.limit,
    )


def write_cursor(place: Place | None) -> str | None:
    """A place as opaque text."""
    if place is None:
        return None
    parts = [place.decided_at.isoformat(), place.id, place.passed, place.image]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def read_cursor(text: str) -> Place:
    """The inverse of :func:`write_cursor`; one that was made up is refused, or leads to what may be read anyway."""
    try:
        parts: Any = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        moment, id, passed, image = parts
        place = Place(datetime.fromisoformat(moment), str(id), int(passed), None if image is None else str(image))
    except (binascii.Error, ValueError, TypeError, RecursionError, OverflowError) as exc:
        raise _wrong("cursor: give the next_cursor of the page before") from exc
    if place.decided_at.tzinfo is None or not 0 < place.passed <= MAX_DEPTH:
        raise _wrong("cursor: give the next_cursor of the page before")
    return place


def _shown(name: str) -> str:
    return f"parameter {ascii(name)[:60]}"


def _wrong(text: str) -> RequestRefusedError:
    return RequestRefusedError(400, "parameter", text)
