"""Whatever arrives, intake answers with parsed events or an EventError."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

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
