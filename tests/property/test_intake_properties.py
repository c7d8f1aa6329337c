"""Whatever arrives, intake answers with parsed events or an EventError."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from scanguard import intake
from scanguard.builtin.plugin import scanguard_event_sources
from scanguard.errors import EventError
from scanguard.intake import ParsedEvents, parse_events
from scanguard.testing import strategies

SOURCES = tuple(scanguard_event_sources())
GROUP = "/subscriptions/s/resourceGroups/r/providers/Microsoft.App/jobs/j"
JSON = strategies.json_values()
VALUES = JSON | st.sampled_from([GROUP, "1.0", "2026-03-01T18:38:04Z", "Microsoft.App/jobs/write"])
DATA = st.dictionaries(
    st.sampled_from(["resourceUri", "operationName", "claims", "authorization", "httpRequest"]), VALUES
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "id": VALUES,
        "subject": VALUES,
        "topic": VALUES,
        "source": VALUES,
        "specversion": VALUES,
        "eventType": st.just("Microsoft.Resources.ResourceWriteSuccess") | VALUES,
        "type": st.just("Microsoft.Resources.ResourceWriteSuccess") | VALUES,
        "eventTime": VALUES,
        "time": VALUES,
        "data": DATA | VALUES,
    },
)


@given(st.binary())
def test_any_bytes_are_parsed_or_refused(payload: bytes) -> None:
    with suppress(EventError):
        assert isinstance(parse_events(payload, SOURCES), ParsedEvents)


@given(st.lists(EVENTS | JSON, max_size=5))
def test_every_event_of_a_batch_is_taken_skipped_or_rejected_and_none_is_lost(events: list[Any]) -> None:
    try:
        parsed = parse_events(json.dumps(events).encode(), SOURCES)
    except EventError:
        return
    assert len(parsed.events) + len(parsed.skipped) + len(parsed.rejected) == len(events)


TEXTS = JSON.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """JSON with a few bytes put in, taken out or replaced."""
    text = bytearray(draw(TEXTS))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b"", b"0", b"1e9", b'"', b"\\u", b",", b"-", b"NaN", b"\xff"])
        )
    return bytes(text)


@given(damaged())
def test_the_fast_parser_takes_nothing_that_the_other_refuses_and_reads_it_alike(text: bytes) -> None:
    try:
        fast = from_json(text, allow_inf_nan=False)
    except ValueError:
        return
    assert repr(fast) == repr(intake._DECODER.decode(text.decode()))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b'\xef\xbb\xbf[{"id": "a"}]', id="a byte order mark"),
        pytest.param(b'[{"id": "\\ud800"}]', id="half a character"),
    ],
)
def test_what_only_the_lenient_parser_takes_is_taken(text: bytes) -> None:
    assert len(parse_events(text, SOURCES).skipped) == 1
