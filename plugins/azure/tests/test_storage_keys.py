"""Keys hold nothing that a table refuses, never collide, and sort as what they stand for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scanguard_azure.storage_keys import (
    MAX_BLOB_NAME,
    MAX_KEY,
    ascending,
    blob_name,
    decoded,
    descending,
    encoded,
    from_micros,
    micros,
    partition_key,
    prefix_end,
    row_key,
)

from scanguard.errors import BackendError

ILLEGAL = re.compile(r"[/\\#?%\x00-\x1f\x7f-\U0010ffff]")
"""What tables refuse, and percent signs, which some clients trip over."""
texts = st.text(max_size=40)  # of four bytes each, near the longest key
FIRST, LAST = datetime(1970, 1, 1), datetime(9999, 1, 1)  # naive bounds, as hypothesis wants them
moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))


@given(texts)
def test_a_key_is_legal_and_gives_back_its_text(text: str) -> None:
    assert not ILLEGAL.search(encoded(text))
    assert decoded(encoded(text)) == text
    assert not ILLEGAL.search(partition_key(text, text))


@given(texts, texts)
def test_keys_sort_as_code_points_do(one: str, other: str) -> None:
    assert (encoded(one) < encoded(other)) == (one < other)
    assert (row_key(one) == row_key(other)) == (one == other)


@given(st.text(max_size=15), st.text(max_size=15))
def test_a_prefix_bounds_exactly_what_starts_with_it(prefix: str, text: str) -> None:
    first, end = row_key(prefix), prefix_end(row_key(prefix))
    assert (first <= row_key(text) < end) == text.startswith(prefix)
    assert first <= row_key(prefix + text) < end


@given(st.lists(texts, min_size=4, max_size=4))
def test_partitions_never_meet(parts: list[str]) -> None:
    one, other = tuple(parts[:2]), tuple(parts[2:])
    assert (partition_key(*one) == partition_key(*other)) == (one == other)


def test_long_partitions_are_cut_and_still_told_apart() -> None:
    names = ["/" * 400 + end for end in ("a", "b", "")]
    keys = {partition_key("t", name) for name in names}
    assert len(keys) == 3
    assert all(len(key) <= MAX_KEY and not ILLEGAL.search(key) for key in keys)


def test_a_row_key_that_is_too_long_is_refused_and_not_cut() -> None:
    assert row_key("a" * (MAX_KEY - 1))
    with pytest.raises(BackendError, match="longer than a table takes"):
        row_key("a" * MAX_KEY)


@given(moments, moments, st.text(max_size=20), st.text(max_size=20))
def test_moments_sort_both_ways_and_equal_ones_by_id(one: datetime, other: datetime, id: str, other_id: str) -> None:
    assert (ascending(one) < ascending(other)) == (one < other)
    newest_first = descending(one, id) < descending(other, other_id)
    by_utf8 = [(moment, name.encode("utf-8", "surrogatepass")) for moment, name in ((one, id), (other, other_id))]
    assert newest_first == (by_utf8[0] > by_utf8[1])


@given(moments)
def test_moments_are_kept_to_the_microsecond(moment: datetime) -> None:
    assert from_micros(micros(moment)) == moment


def test_a_moment_before_1970_is_the_earliest() -> None:
    assert micros(datetime(1970, 1, 1, tzinfo=UTC) - timedelta(days=1)) == 0


@given(st.lists(st.text(max_size=400), min_size=2, max_size=2))
def test_blob_names_are_legal_and_never_meet(names: list[str]) -> None:
    one, other = (blob_name("reports", name) for name in names)
    assert (one == other) == (names[0] == names[1])
    for name in (one, other):
        assert re.fullmatch(r"[A-Za-z0-9._:@+=,~*/-]{1,1024}", name)
        assert not name.endswith((".", "/"))
        assert not {"", ".", ".."} & set(name.split("/"))
        assert len(name) <= MAX_BLOB_NAME


def test_blob_names_of_reports_stay_readable() -> None:
    assert blob_name("reports", "scans/sha256-ab/1.json") == "reports/scans/sha256-ab/1.json"
