"""From the bytes of a request or file to trimmed events: limits first, then each event on its own."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from pydantic import JsonValue
from pydantic_core import from_json

from scanguard.errors import EventError
from scanguard.hooks import EventSourceSpec
from scanguard.model.deployment import Event

MAX_PAYLOAD_BYTES: Final = 1024 * 1024
"""Event Grid sends batches of at most 1 MB
(https://learn.microsoft.com/en-us/azure/event-grid/delivery-and-retry)."""
MAX_EVENTS: Final = 5_000
"""Most events in one batch, by the same source."""
MAX_DEPTH: Final = 64
_MAX_SENTENCE: Final = 400


@dataclass(frozen=True, slots=True)
class ParsedEvents:
    """What a payload held: ``events`` to work on, and a sentence for each one ``skipped`` or ``rejected``."""

    events: tuple[Event, ...]
    skipped: tuple[str, ...] = ()
    """Understood, or of a kind nobody knows, and not about a deployment."""
    rejected: tuple[str, ...] = ()
    """Broken; sending them again will not help."""


def parse_events(
    payload: bytes, sources: Iterable[EventSourceSpec], *, max_bytes: int = MAX_PAYLOAD_BYTES
) -> ParsedEvents:
    """Parse one event or a list of them.

    Args:
        payload: JSON text in UTF-8, with or without a byte order mark.
        sources: Who understands events; of those that accept one, the first to whom it says something has it.
        max_bytes: Longest payload that is looked at.

    Errors:
        EventError when the payload as a whole is no such JSON, or beyond a limit. One broken event among
        others is only ``rejected``, and so is one that a source fails on.
    """
    known = tuple(sources)
    events: list[Event] = []
    skipped: list[str] = []
    rejected: list[str] = []
    for number, item in enumerate(_items(_decode(payload, max_bytes)), 1):
        try:
            event = _parse(item, known)
        except EventError as exc:
            rejected.append(_sentence(number, item, exc.message))
        else:
            if event is None:
                skipped.append(_sentence(number, item, "it does not say that a deployment was written"))
            else:
                events.append(event)
    return ParsedEvents(tuple(events), tuple(skipped), tuple(rejected))


def why_ignored(event: Event, excluded: Collection[str], own_actors: Collection[str]) -> str:
    """Why nothing is done about an event; empty when something is. Ids compare in any case.

    Args:
        event: The event.
        excluded: Ids of resources that are left alone.
        own_actors: Ids of identities whose changes are ours.
    """
    if excluded and event.resource_id.lower() in {resource.lower() for resource in excluded}:
        return f"{event.resource_id} is excluded by the configuration"
    if event.actor and event.actor.lower() in {actor.lower() for actor in own_actors}:
        return f"{event.resource_id} was touched by {event.actor}, one of ignore_actors"
    return ""


def _decode(payload: bytes, max_bytes: int) -> JsonValue:
    if len(payload) > max_bytes:
        raise EventError(f"the events are {len(payload):,} bytes long; {max_bytes:,} are the limit: send fewer at once")
    try:
        value: JsonValue = from_json(payload, allow_inf_nan=False)
    except ValueError:
        value = _decode_leniently(payload)
    if payload.count(b"[") + payload.count(b"{") > MAX_DEPTH:  # else it cannot be deeper
        _limit_depth(value)
    return value


def _decode_leniently(payload: bytes) -> JsonValue:
    """What pydantic's parser, which is twice as fast, does not take: half a character may be in one event of many."""
    try:
        value: JsonValue = _DECODER.decode(payload.removeprefix(BOM_UTF8).decode())
    except UnicodeDecodeError as exc:
        raise EventError(f"the events are not UTF-8 text: byte {exc.start:,} cannot be read") from exc
    except json.JSONDecodeError as exc:
        raise EventError(f"the events are not JSON: {exc.msg} in line {exc.lineno}, column {exc.colno}") from exc
    except ValueError as exc:  # NaN, Infinity, or an integer with thousands of digits
        raise EventError("the events hold a number that JSON does not allow, or a far too long one") from exc
    except RecursionError as exc:
        raise _too_deep() from exc
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)


def _limit_depth(value: JsonValue) -> None:
    level: list[JsonValue] = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _children(outer)]
        if not level:
            return
    raise _too_deep()


def _children(value: JsonValue) -> Iterable[JsonValue]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> EventError:
    return EventError(f"the events are nested deeper than {MAX_DEPTH} levels")


def _items(value: JsonValue) -> list[JsonValue]:
    items: list[JsonValue] = value if isinstance(value, list) else [value]
    if len(items) > MAX_EVENTS:
        raise EventError(f"there are {len(items):,} events; {MAX_EVENTS:,} are the limit: send fewer at once")
    if not isinstance(value, list | dict):
        raise EventError("the events are neither a JSON object nor a list of objects")
    return items


def _parse(item: JsonValue, sources: tuple[EventSourceSpec, ...]) -> Event | None:
    if not isinstance(item, dict):
        raise EventError("it is not a JSON object")
    for source in sources:
        try:
            if source.accepts(item) and (event := _checked(source, source.parse(item))) is not None:
                return event
        except EventError:
            raise
        except Exception as exc:
            raise EventError(f"event source {source.name} failed on it with {type(exc).__name__}") from exc
    return None


def _checked(source: EventSourceSpec, event: object) -> Event | None:
    if event is None or isinstance(event, Event):
        return event
    raise EventError(f"event source {source.name} answered with a {type(event).__name__}")


def _sentence(number: int, item: JsonValue, why: str) -> str:
    """Which event, and why; text from the event in ASCII and cut."""
    kind = _kind(item) if isinstance(item, Mapping) else ""
    text = f"event {number}{f' ({kind})' if kind else ''}: {why}"
    return text if len(text) <= _MAX_SENTENCE else f"{text[:_MAX_SENTENCE]}…"


def _kind(item: Mapping[str, JsonValue]) -> str:
    kind = item.get("eventType") or item.get("type")
    return ascii(kind)[1:-1][:100] if isinstance(kind, str) else ""
