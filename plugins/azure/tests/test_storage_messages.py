"""Messages on the wire: as the Functions host expects them, never handled early, readable or said not to be."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scanguard_azure import storage_messages as wire

from scanguard.ports import MESSAGE_SCHEMA_VERSION, Lane, Message, MessageKind

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGE = Message(kind=MessageKind.SCAN, id="x", lane=Lane.HEAVY, body={"a": ["é\u0000", 1, None]})


def test_a_message_is_base64_of_its_json_and_comes_back() -> None:
    sent = wire.in_base64(wire.text_of(MESSAGE, None, NOW))
    assert json.loads(base64.b64decode(sent)) == MESSAGE.model_dump(mode="json")
    found = wire.read_base64(sent)
    assert found.message == MESSAGE
    assert (found.not_before, found.blob) == (None, "")


@pytest.mark.parametrize(
    ("wait", "hidden", "is_written"),
    [
        pytest.param(timedelta(0), 0, False, id="at once"),
        pytest.param(timedelta(seconds=-5), 0, False, id="late already"),
        pytest.param(timedelta(seconds=1.2), 2, False, id="never less than asked for"),
        pytest.param(timedelta(days=7), wire.MAX_HIDDEN_S, False, id="the longest"),
        pytest.param(timedelta(days=30), wire.MAX_HIDDEN_S, True, id="longer"),
    ],
)
def test_what_a_queue_cannot_hide_long_enough_says_its_time_itself(
    wait: timedelta, hidden: int, is_written: bool
) -> None:
    assert wire.hidden_s(NOW + wait, NOW) == hidden
    found = wire.read_text(wire.text_of(MESSAGE, NOW + wait, NOW))
    assert found.message == MESSAGE
    assert found.not_before == (NOW + wait if is_written else None)
    if is_written:
        assert found.wait_s(NOW + timedelta(days=7)) == timedelta(days=23).total_seconds()
        assert found.wait_s(NOW + wait) == 0


def test_a_body_that_is_too_large_stands_beside() -> None:
    text = wire.text_of(MESSAGE, NOW + timedelta(days=9), NOW, blob="b.json")
    assert "é" not in text
    found = wire.read_text(text)
    assert (found.blob, found.not_before) == ("b.json", NOW + timedelta(days=9))
    assert found.with_body(wire.body_of(MESSAGE)).message == MESSAGE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        '{"kind": "nothing", "id": "x"}',
        '{"kind": "scan", "id": "x", "not_before": "soon"}',
        '{"kind": "scan", "id": "x", "not_before": "2026-01-01T00:00:00"}',
        '{"kind": "scan", "id": "x", "not_before": 5}',
        '{"kind": "scan", "id": "x", "extra": 1}',
        "[" * 100_000,
    ],
)
def test_what_cannot_be_read_is_kept_as_it_came(text: str) -> None:
    found = wire.read_text(text)
    assert found.message is None
    assert found.raw == text


@given(st.text())
def test_anything_that_is_no_base64_is_kept_as_it_came(sent: str) -> None:
    found = wire.read_base64(sent)
    assert found.message is None


def test_a_message_of_a_newer_scanguard_is_read_as_far_as_its_version() -> None:
    newer = MESSAGE.model_copy(update={"schema_version": MESSAGE_SCHEMA_VERSION + 1})
    found = wire.read_text(wire.text_of(newer, None, NOW))
    assert found.message is not None
    assert found.message.schema_version > MESSAGE_SCHEMA_VERSION
