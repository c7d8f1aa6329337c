"""Names of blobs and keys of rows: readable, legal for any text, and never the same for two results."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scanguard_azure.results_keys import (
    blob_name,
    day_key,
    full_name,
    image_key,
    inverted,
    recent_key,
    row_key,
)

NOW = datetime(2026, 1, 15, 12, 34, 56, tzinfo=UTC)
SCAN = "0123456789abcdef0123456789abcdef"
LEGAL_KEY = re.compile(r"[A-Za-z0-9._+=-]{1,512}")
moments = st.datetimes(timezones=st.just(UTC))
HOSTILE = [
    "", ".", "..", "../../x", "/", "a/b#c?d\\e", "a\x00b", "a\tb\n", "\x7f\x9f", "%2e%2e", "🐳" * 400, "x/" * 200,
    "errors", "ERRORS", "con", "'; drop", "a" * 5000, "shop.example/wéb:1", " leading", "trailing. ", "ﬁ", "K",
]  # fmt: skip


def test_an_image_is_known_by_its_full_name() -> None:
    assert image_key(full_name("nginx")).startswith("docker.io_library_nginx_latest-")
    assert full_name("nginx") == full_name("docker.io/library/nginx:latest")
    assert full_name("no image :::") == "no image :::"


def test_a_result_is_where_the_guide_says(tmp_path: object) -> None:
    folder = image_key("docker.io/library/nginx:latest")
    assert blob_name("docker.io/library/nginx:latest", NOW, SCAN, is_error=False) == (
        f"{folder}/scan-20260115-123456-{SCAN}.json"
    )
    assert blob_name("docker.io/library/nginx:latest", NOW, SCAN, is_error=True) == (
        f"errors/{folder}-20260115-123456-{SCAN}.json"
    )
    assert row_key(NOW, SCAN) == f"8231519503999_{SCAN}"
    assert day_key(NOW) == "20260115"


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_makes_legal_keys_and_stays_in_its_folder(name: str) -> None:
    assert LEGAL_KEY.fullmatch(image_key(name))
    for is_error in (False, True):
        blob = blob_name(name, NOW, name, is_error=is_error)
        assert re.fullmatch(r"[A-Za-z0-9_+=.-]+/[A-Za-z0-9_+=.-]+\.json", blob)
        assert blob.startswith("errors/") is is_error
        assert len(blob) < 400
        assert not blob.startswith(".")


def test_hostile_names_do_not_meet_even_where_they_read_the_same() -> None:
    alike = [*HOSTILE, "acr.io/foo/bar:1", "acr.io/foo_bar:1", "acr.io/foo/bar_1", "ACR.io/foo/bar:1", "a" * 5001]
    keys = [image_key(name) for name in alike]
    assert len({key.lower() for key in keys}) == len(alike)


@given(st.text(max_size=400), st.text(max_size=400))
def test_two_names_never_make_one_key(one: str, other: str) -> None:
    assert (image_key(one).lower() == image_key(other).lower()) is (one == other)
    assert LEGAL_KEY.fullmatch(image_key(one))


@given(st.text(max_size=100), moments, st.text(max_size=100), moments, st.integers(1, 9_999))
def test_two_scans_never_make_one_row(one: str, then: datetime, other: str, now: datetime, revision: int) -> None:
    assert LEGAL_KEY.fullmatch(row_key(then, one))
    assert LEGAL_KEY.fullmatch(recent_key(then, one, revision, other))
    if one != other:
        assert row_key(then, one) != row_key(now, other)
        assert recent_key(then, one, revision, "i") != recent_key(then, other, revision, "i")
        assert recent_key(then, "s", revision, one) != recent_key(then, "s", revision, other)


@given(moments, moments)
def test_what_is_newer_sorts_first(one: datetime, other: datetime) -> None:
    assert len(inverted(one)) == len(inverted(other)) == 13
    if one < other:
        assert inverted(one) >= inverted(other)


def test_a_millisecond_counts() -> None:
    assert inverted(NOW + timedelta(milliseconds=1)) < inverted(NOW)
