"""The contract of event sources."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Mapping
from typing import ClassVar, Final

import pytest
from pydantic import JsonValue

from scanguard.errors import EventError
from scanguard.hooks import EventSourceSpec
from scanguard.model.deployment import Event
from scanguard.testing.contracts.probes import CANARY, assert_no_canary, error_texts

_MAX_EVENT_BYTES: Final = 16 * 1024
_HOSTILE: Final[tuple[JsonValue, ...]] = (
    None, True, 0, -1, 1e308, "", "x" * 100_000, "\x00", "\ud800", [], [[[]]], {}, {"": None}, {"a": {"b": []}},
)  # fmt: skip


class EventSourceContract:
    """What every event source keeps.

    Set ``plugin`` and ``name``; override the fixtures ``event`` with an event of a deployment (a dictionary, as
    decoded from JSON) and ``other`` with one of its kind that says nothing of a deployment. Put the canary wherever
    an event carries what must not be kept: the caller's name, mail address, claims.
    """

    plugin: ClassVar[str]
    name: ClassVar[str]

    @pytest.fixture
    def event(self) -> dict[str, JsonValue]:
        """An event of a deployment, with :data:`~scanguard.testing.contracts.CANARY` as personal data."""
        raise NotImplementedError("override the fixture `event`")

    @pytest.fixture
    def other(self) -> dict[str, JsonValue]:
        """An event of the same kind about something else."""
        raise NotImplementedError("override the fixture `other`")

    def spec(self) -> EventSourceSpec:
        """The record under test."""
        records: list[EventSourceSpec] = [*importlib.import_module(self.plugin).scanguard_event_sources()]
        (spec,) = [record for record in records if record.name == self.name]
        return spec

    def test_an_event_of_a_deployment_is_understood_and_trimmed(self, event: dict[str, JsonValue]) -> None:
        assert CANARY in json.dumps(event), "put the canary where the event carries personal data"
        assert self.spec().accepts(event)
        parsed = self.spec().parse(event)
        assert isinstance(parsed, Event), f"it gives a {type(parsed).__name__}"
        assert parsed.id
        assert parsed.resource_id
        stored = parsed.model_dump_json()
        assert_no_canary("a stored event", [stored, repr(parsed)])
        assert len(stored) <= _MAX_EVENT_BYTES, f"a trimmed event takes {len(stored):,} bytes"

    def test_the_same_event_is_the_same_and_is_left_as_it_was(self, event: dict[str, JsonValue]) -> None:
        before = copy.deepcopy(event)
        assert self.spec().parse(event) == self.spec().parse(copy.deepcopy(event))
        assert event == before, "parsing changed the event"

    def test_an_event_of_something_else_is_of_its_kind_and_no_deployment(self, other: dict[str, JsonValue]) -> None:
        assert self.spec().accepts(other)
        assert self.spec().parse(other) is None

    @pytest.mark.parametrize("value", _HOSTILE, ids=range(len(_HOSTILE)))
    def test_whatever_stands_in_any_place_gives_an_event_none_or_an_event_error(
        self, event: dict[str, JsonValue], value: JsonValue
    ) -> None:
        spec = self.spec()
        for path in _paths(event):
            changed = _with(event, path, value)
            assert isinstance(spec.accepts(changed), bool), f"accepts gives no bool with {value!r:.40} at {path}"
            try:
                parsed = spec.parse(changed)
            except EventError as exc:
                assert_no_canary(f"the error about {path}", error_texts(exc))
                continue
            except Exception as exc:
                raise AssertionError(f"a foreign {type(exc).__name__} escaped: {value!r:.40} at {path}") from exc
            assert parsed is None or isinstance(parsed, Event)

    def test_an_object_of_another_kind_is_not_taken(self) -> None:
        strange: list[dict[str, JsonValue]] = [{}, {"kind": "Pod"}, {"": []}]
        assert [self.spec().accepts(one) for one in strange] == [False, False, False]


def _paths(value: JsonValue, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every place below the event itself."""
    if not isinstance(value, dict):
        return []
    return [path for key, inner in value.items() for path in ((*above, key), *_paths(inner, (*above, key)))]


def _with(event: Mapping[str, JsonValue], path: tuple[str, ...], value: JsonValue) -> dict[str, JsonValue]:
    changed: dict[str, JsonValue] = copy.deepcopy(dict(event))
    place = changed
    for key in path[:-1]:
        inner = place[key]
        assert isinstance(inner, dict)
        place = inner
    place[path[-1]] = value
    return changed
