from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanguard.render.document import Span
from scanguard.render.text import ago, count, listing, neutralise, short_digest, span_of, truncate

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        pytest.param("nginx\x1b[2Jboo", r"nginx\x1b[2Jboo", id="escape sequence"),
        pytest.param("a\x9b31mb", r"a\x9b31mb", id="eight-bit control"),
        pytest.param("safe\u202etxt.exe", r"safe\u202etxt.exe", id="bidirectional override"),
        pytest.param("a\u200bb", r"a\u200bb", id="zero-width space"),
        pytest.param("line one\r\nline two\tend", "line one  line two end", id="line breaks"),
        pytest.param("lone \udc9b half", r"lone \udc9b half", id="surrogate"),
        pytest.param("tag \U000e0041", r"tag \U000e0041", id="tag character"),
        pytest.param("bell\x07\x00", r"bell\x07\x00", id="bell and null"),
        pytest.param("é 漢字 🐧", "é 漢字 🐧", id="honest letters stay"),
    ],
)
def test_control_characters_become_visible(hostile: str, shown: str) -> None:
    assert neutralise(hostile) == shown
    assert Span(hostile).text == shown


@given(st.text())
def test_nothing_harmful_passes_and_doing_it_twice_changes_nothing(text: str) -> None:
    once = neutralise(text)
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for character in once)
    assert neutralise(once) == once or len(once) > 2_000
    once.encode()


def test_a_very_long_text_is_cut() -> None:
    assert neutralise("x" * 1_000_000) == "x" * 1_999 + "…"


@pytest.mark.parametrize(
    ("width", "expected"),
    [pytest.param(0, "", id="none"), pytest.param(1, "…", id="one"), pytest.param(4, "abc…", id="some"),
     pytest.param(6, "abcdef", id="all")],
)  # fmt: skip
def test_truncation_shows_that_something_is_missing(width: int, expected: str) -> None:
    assert truncate("abcdef", width) == expected


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        pytest.param(timedelta(seconds=1), "just now", id="now"),
        pytest.param(timedelta(seconds=-1), "just now", id="clock slightly ahead"),
        pytest.param(timedelta(seconds=40), "40 s ago", id="seconds"),
        pytest.param(timedelta(minutes=59, seconds=59), "59 min ago", id="minutes"),
        pytest.param(timedelta(hours=3, minutes=50), "3 h ago", id="hours"),
        pytest.param(timedelta(days=1, hours=5), "1 day ago", id="one day"),
        pytest.param(timedelta(days=4000), "4,000 days ago", id="years"),
        pytest.param(timedelta(hours=-2), "in 2 h", id="future"),
    ],
)
def test_ages_are_said_in_their_largest_unit(passed: timedelta, expected: str) -> None:
    assert ago(NOW - passed, NOW) == expected


def test_small_words() -> None:
    assert count(1, "finding") == "1 finding"
    assert count(1204, "finding") == "1,204 findings"
    assert count(2, "entry", "entries") == "2 entries"
    assert listing(["a", "b", "c"], most=2) == "a, b and 1 more"
    assert listing([]) == ""
    assert span_of(timedelta(seconds=-5)) == "0 s"
    assert short_digest("sha256:" + "ab" * 32) == "sha256:abababababab"
