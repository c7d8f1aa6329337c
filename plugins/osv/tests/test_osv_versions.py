"""Every vector of every order, both ways."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scanguard_osv.versions import UnorderableVersionError, order_of

Vectors = Callable[[str], list[tuple[str, str, int]]]


@pytest.mark.parametrize(
    ("file", "ecosystem", "count"),
    [
        pytest.param("dpkg", "Debian:12", 9615, id="dpkg"),
        pytest.param("apk", "Alpine:v3.19", 10391, id="apk"),
        pytest.param("pep440", "PyPI", 8428, id="pep440"),
    ],
)
def test_every_vector_is_ordered_as_its_ecosystem_orders_it(
    vectors: Vectors, file: str, ecosystem: str, count: int
) -> None:
    order = order_of(ecosystem)
    assert order is not None
    rows = vectors(file)
    wrong = [(a, b, want) for a, b, want in rows if order(a, b) != want or order(b, a) != -want]
    assert len(rows) == count
    assert wrong == []


def test_python_versions_in_other_spellings_are_the_same_version(data: Path) -> None:
    order = order_of("PyPI")
    assert order is not None
    document = json.loads(gzip.decompress((data / "versions/pep440.json.gz").read_bytes()))
    assert [pair for pair in document["normalized"] if order(*pair) != 0] == []


def test_an_ecosystem_without_a_known_order_has_none() -> None:
    assert order_of("Maven") is None


@pytest.mark.parametrize("ecosystem", ["Debian:12", "Alpine:v3.19", "PyPI"])
@pytest.mark.parametrize("text", [pytest.param("", id="empty"), pytest.param("9" * 10_000, id="giant")])
def test_a_text_that_is_no_version_is_refused_with_its_own_error(ecosystem: str, text: str) -> None:
    order = order_of(ecosystem)
    assert order is not None
    with pytest.raises(UnorderableVersionError):
        order(text, "1.0")


@pytest.mark.parametrize("ecosystem", ["Debian:12", "Alpine:v3.19", "PyPI"])
@given(a=st.text(max_size=30), b=st.text(max_size=30), apk=st.from_regex(r"[0-9._\-a-zr]{0,12}", fullmatch=True))
def test_any_two_texts_compare_the_same_both_ways_or_are_refused(ecosystem: str, a: str, b: str, apk: str) -> None:
    order = order_of(ecosystem)
    assert order is not None
    for left, right in ((a, b), (a, apk), (apk, b)):
        try:
            assert order(left, right) == -order(right, left)
        except UnorderableVersionError:
            continue
