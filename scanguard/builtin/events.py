"""Event sources ``eventgrid`` and ``cloudevents``: Azure says that a workload was created, changed or deleted.

Both schemas carry the same ``data``; only ids, operation and caller are in it, never an image. Facts:
https://learn.microsoft.com/en-us/azure/event-grid/event-schema-subscriptions and
https://learn.microsoft.com/en-us/azure/event-grid/cloud-event-schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from scanguard.errors import EventError
from scanguard.model.deployment import Event
from scanguard.model.reading import read_event, shown

WORKLOADS: Final = ("microsoft.containerinstance/containergroups", "microsoft.app/containerapps", "microsoft.app/jobs")
"""What runs images. Tags are written by another operation."""

_VERBS: Final = {
    "microsoft.resources.resourcewritesuccess": "write",
    "microsoft.resources.resourcedeletesuccess": "delete",
}
"""Types of events, and the end of the operations they are about."""
OPERATIONS: Final = frozenset(f"{workload}/{verb}" for workload in WORKLOADS for verb in _VERBS.values())
"""All that is understood."""
_OBJECT_ID: Final = "http://schemas.microsoft.com/identity/claims/objectidentifier"
_APP_ID: Final = "appid"
_PRINCIPAL: Final = re.compile(r"[0-9A-Fa-f-]{1,64}")
"""Object and application ids are GUIDs; anything else in their place could be personal and is dropped."""
_ARM_ID: Final = re.compile(
    r"/subscriptions/[^/\s]+/resourcegroups/[^/\s]+/providers/(?P<type>[^/\s]+/[^/\s]+)/(?P<name>[^/\s]+)",
    re.IGNORECASE,
)
_MAX_NESTED: Final = 64 * 1024
_TELLING: Final = re.compile(r"[/0-9]")
"""How an id or a time begins."""

Object = Mapping[str, JsonValue]


def accepts_eventgrid(event: Object) -> bool:
    """Whether an object is in the Event Grid schema."""
    return "eventType" in event and "specversion" not in event


def accepts_cloudevents(event: Object) -> bool:
    """Whether an object is a CloudEvent."""
    return "specversion" in event


def parse_eventgrid(event: Object) -> Event | None:
    """The event in the Event Grid schema, trimmed; None when it says nothing of a deployment."""
    return _parse(event, type_key="eventType", source_key="topic", time_key="eventTime")


def parse_cloudevent(event: Object) -> Event | None:
    """The CloudEvent, trimmed; None when it says nothing of a deployment."""
    if not str(event.get("specversion")).startswith("1."):
        raise EventError(
            f"its specversion is {shown(event.get('specversion'), _TELLING)}; CloudEvents 1.0 is understood"
        )
    return _parse(event, type_key="type", source_key="source", time_key="time")


def _parse(event: Object, *, type_key: str, source_key: str, time_key: str) -> Event | None:
    kind = event.get(type_key)
    if not isinstance(kind, str):
        raise EventError(f"its {type_key} is {shown(kind, _TELLING)}, not a text")
    verb = _VERBS.get(kind.lower())
    if verb is None:
        return None
    data = _object(event, "data")
    resource_id = data.get("resourceUri") or event.get("subject")
    operation = data.get("operationName") or _object(data, "authorization").get("action")
    operation = operation or _implied_operation(resource_id, verb)
    if not isinstance(operation, str):
        raise EventError("it does not say which operation it is about: data.operationName is missing or no text")
    if operation.lower() not in OPERATIONS or not operation.lower().endswith(f"/{verb}"):
        return None
    return read_event(
        id=event.get("id"),
        source=event.get(source_key) or "",
        type=kind,
        operation=operation,
        resource_id=_checked_id(resource_id),
        time=_checked_time(event.get(time_key), time_key),
        actor=_actor(_object(data, "claims")),
    )


def _implied_operation(resource_id: JsonValue, verb: str) -> str | None:
    """What was done, to what the id names: CloudEvents may come without data."""
    found = _ARM_ID.fullmatch(resource_id) if isinstance(resource_id, str) else None
    return f"{found['type']}/{verb}" if found else None


def _object(parent: Object, key: str) -> Object:
    """An object that may also come as JSON text, as null, or not at all."""
    value = parent.get(key)
    if isinstance(value, str) and value and len(value) <= _MAX_NESTED:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as exc:
            raise EventError(f"its {key} is a text that is not JSON") from exc
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise EventError(f"its {key} is not an object")
    return value


def _checked_id(value: JsonValue) -> str:
    text = value.rstrip("/") if isinstance(value, str) else ""
    if _ARM_ID.fullmatch(text) is None:
        raise EventError(f"it names no Azure resource: data.resourceUri or subject is {shown(value, _TELLING)}")
    return text


def _checked_time(value: JsonValue, key: str) -> str:
    if not isinstance(value, str):
        raise EventError(f"its {key} is {shown(value, _TELLING)}, not a time such as 2026-03-01T18:38:04Z")
    return value


def _actor(claims: Object) -> str | None:
    """The caller's object id, else application id; nothing else about them is kept."""
    for wanted in (_OBJECT_ID, _APP_ID):
        for name, value in claims.items():
            if name.lower() == wanted and isinstance(value, str) and _PRINCIPAL.fullmatch(value):
                return value
    return None
