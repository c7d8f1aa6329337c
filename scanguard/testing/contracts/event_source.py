"""The contract of event sources."""

from __future__ import annotations

import copy
import importlib
import json
import re
from collections.abc import Mapping
from typing import ClassVar, Final

import pytest
from pydantic import JsonValue

from scanguard.errors import EventError
from scanguard.hooks import EventSourceSpec
from scanguard.model.deployment import Event
from scanguard.testing.contracts.personal import sealed, with_caller
from scanguard.testing.contracts.probes import CANARY, assert_no_canary, error_texts

_PRINCIPAL: Final = re.compile(r"[0-9A-Fa-f-]{1,64}")
_MAX_EVENT_BYTES: Final = 16 * 1024
_HOSTILE: Final[tuple[JsonValue, ...]] = (
    None, True, 0, -1, 1e308, "", "x" * 100_000, "\x00", "\ud800", [], [[[]]], {}, {"": None}, {"a": {"b": []}},
)  # fmt: skip


class EventSourceContract:
    """What every event source keeps.

    Set ``plugin`` and ``name``; override the fixtures ``event`` with an event of a deployment (a dictionary, as
    decoded from JSON) and ``other`` with one of its kind that says nothing of a deployment. Put the canary wherever
    an event carries what must not be kept: the caller's name, mail address, claims; the suite adds those it knows.
    Override ``actor`` with the id of the caller that your event names. One clause needs hypothesis.
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

    @pytest.fixture
    def actor(self) -> str | None:
        """The object or application id of the caller in ``event``; None when it names none."""
        return None

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

    def test_of_the_caller_only_the_id_is_kept(self, event: dict[str, JsonValue], actor: str | None) -> None:
        parsed = self.spec().parse(with_caller(event))
        assert isinstance(parsed, Event), "with more said of its caller, the event is no longer understood"
        assert_no_canary("a stored event", [parsed.model_dump_json(), repr(parsed)])
        assert parsed.actor == actor, f"it keeps {parsed.actor!r} of the caller, not {actor!r}"
        assert actor is None or _PRINCIPAL.fullmatch(actor), f"{actor!r} is no object or application id"

    def test_the_same_event_is_the_same_and_is_left_as_it_was(self, event: dict[str, JsonValue]) -> None:
        before, parse = copy.deepcopy(event), self.spec().parse
        parsed = parse(event)
        assert parse(copy.deepcopy(event)) == parsed, "the same event twice gives two different ones"
        assert parse(dict(reversed(event.items()))) == parsed, "with its keys in another order it is another event"
        assert event == before, "parsing changed the event"

    def test_another_event_has_another_id(self, event: dict[str, JsonValue]) -> None:
        parsed = self.spec().parse(event)
        assert parsed is not None
        texts = [(path, _at(event, path)) for path in _paths(event)]
        changed = [_with(event, path, f"{text}2") for path, text in texts if isinstance(text, str)]
        assert any(self._id_of(other) not in (None, parsed.id) for other in changed), (
            f"whatever the event says, its id is {parsed.id!r}: a second event would be taken for the first"
        )

    def _id_of(self, event: dict[str, JsonValue]) -> str | None:
        try:
            parsed = self.spec().parse(event)
        except EventError:
            return None
        return parsed.id if parsed else None

    def test_an_event_of_something_else_is_of_its_kind_and_no_deployment(self, other: dict[str, JsonValue]) -> None:
        assert self.spec().accepts(other)
        assert self.spec().parse(other) is None

    @pytest.mark.parametrize("value", _HOSTILE, ids=range(len(_HOSTILE)))
    def test_whatever_stands_in_any_place_gives_an_event_none_or_an_event_error(
        self, event: dict[str, JsonValue], value: JsonValue
    ) -> None:
        for path in _paths(event):
            self._understood_or_refused(_with(event, path, value), f"{value!r:.40} at {path}")

    def test_whatever_hypothesis_makes_gives_an_event_none_or_an_event_error(self, event: dict[str, JsonValue]) -> None:
        pytest.importorskip("hypothesis", reason="install hypothesis: this clause makes events with it")
        from hypothesis import given, settings  # noqa: PLC0415  # only where it is installed

        from scanguard.testing.strategies import json_objects  # noqa: PLC0415  # as above

        @settings(max_examples=150, deadline=None, database=None)
        @given(json_objects(like=event))
        def understood_or_refused(made: dict[str, JsonValue]) -> None:
            self._understood_or_refused(made, "what hypothesis made")

        understood_or_refused()

    def _understood_or_refused(self, event: dict[str, JsonValue], what: str) -> None:
        spec = self.spec()
        try:
            accepted = spec.accepts(event)
        except Exception as exc:
            raise AssertionError(f"accepts lets a {type(exc).__name__} out: {what}") from exc
        assert isinstance(accepted, bool), f"accepts gives a {type(accepted).__name__}, not a bool: {what}"
        try:
            parsed = spec.parse(event)
        except EventError as exc:
            assert_no_canary(f"the error about {what}", error_texts(exc))
            return
        except Exception as exc:
            raise AssertionError(f"a foreign {type(exc).__name__} escaped: {what}") from exc
        assert parsed is None or isinstance(parsed, Event), f"parse gives a {type(parsed).__name__}: {what}"

    def test_whether_it_is_of_its_kind_is_seen_without_looking_deep(
        self, event: dict[str, JsonValue], other: dict[str, JsonValue]
    ) -> None:
        assert self.spec().accepts(sealed(event))
        assert self.spec().accepts(sealed(other))

    def test_an_object_of_another_kind_is_not_taken(self) -> None:
        strange: list[dict[str, JsonValue]] = [{}, {"kind": "Pod"}, {"": []}]
        taken = [one for one in strange if self.spec().accepts(one)]
        assert not taken, f"it takes {taken} for events of its kind"


def _paths(value: JsonValue, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every place below the event itself."""
    if not isinstance(value, dict):
        return []
    return [path for key, inner in value.items() for path in ((*above, key), *_paths(inner, (*above, key)))]


def _at(event: Mapping[str, JsonValue], path: tuple[str, ...]) -> JsonValue:
    place: JsonValue = dict(event)
    for key in path:
        assert isinstance(place, dict)
        place = place[key]
    return place


def _with(event: Mapping[str, JsonValue], path: tuple[str, ...], value: JsonValue) -> dict[str, JsonValue]:
    changed: dict[str, JsonValue] = copy.deepcopy(dict(event))
    place = changed
    for key in path[:-1]:
        inner = place[key]
        assert isinstance(inner, dict)
        place = inner
    place[path[-1]] = value
    return changed
