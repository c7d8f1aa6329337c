"""Reading what came from outside into an :class:`~scanguard.model.deployment.Event`, with errors that may be shown."""

from __future__ import annotations

import re
from typing import Final

from pydantic import JsonValue, ValidationError

from scanguard.errors import EventError
from scanguard.model.deployment import Event

_MOST: Final = 100


def read_event(**fields: object) -> Event:
    """The event with these fields; EventError, which says what is wrong and repeats no value."""
    try:
        return Event.model_validate(fields)
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors())
        raise EventError(f"it is broken: {wrong}") from exc
    except OverflowError as exc:  # a time before the year 1 in UTC
        raise EventError("its time is out of range") from exc


def shown(value: JsonValue, telling: re.Pattern[str]) -> str:
    """What stands somewhere, for an error: a text itself only where ``telling`` matches its beginning.

    Any other text may be personal, and its length is said; of an object or a list no more than that it is one.
    """
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, str) and telling.match(value) is None:
        return f"a text of {len(value)} characters"
    text = ascii(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"
