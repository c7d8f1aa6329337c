from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanguard.oci.challenges import Challenge, parse_challenges

HUB = {"realm": "https://auth.docker.io/token", "service": "registry.docker.io", "scope": "repository:a/b:pull,push"}


@pytest.mark.parametrize(
    ("header", "challenges"),
    [
        pytest.param(
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
            [Challenge("bearer", HUB)],
            id="docker-hub",
        ),
        pytest.param(
            'BEARER REALM="https://a/t" , Service=abc',
            [Challenge("bearer", {"realm": "https://a/t", "service": "abc"})],
            id="any-case-and-bare-value",
        ),
        pytest.param(
            'Basic realm="a, b", Bearer realm="https://h/t"',
            [Challenge("basic", {"realm": "a, b"}), Challenge("bearer", {"realm": "https://h/t"})],
            id="two-schemes",
        ),
        pytest.param(
            "Negotiate, Basic realm=x", [Challenge("negotiate"), Challenge("basic", {"realm": "x"})], id="no-parameters"
        ),
        pytest.param(
            'Negotiate dG9r=, Basic realm="x"', [Challenge("negotiate"), Challenge("basic", {"realm": "x"})],
            id="token68",
        ),
        pytest.param(r'Basic realm="a\"b\\c"', [Challenge("basic", {"realm": 'a"b\\c'})], id="escapes"),
        pytest.param('Bearer realm="a",realm="b"', [Challenge("bearer", {"realm": "a"})], id="first-of-two-counts"),
        pytest.param('Bearer realm="never closed', [Challenge("bearer")], id="never-closed"),
        pytest.param("", [], id="empty"),
        pytest.param(", ,=,", [], id="noise"),
    ],
)  # fmt: skip
def test_challenges_are_read(header: str, challenges: list[Challenge]) -> None:
    assert parse_challenges(header) == challenges


@given(st.text(alphabet=' ,="\\ab\tü', max_size=400))
def test_any_header_is_read_without_an_error(header: str) -> None:
    parse_challenges(header)


@pytest.mark.parametrize("part", ['a="', "a ", '"\\', ",", 'x="y",', 'Bearer a="\\'])
def test_a_hostile_header_takes_no_time(part: str) -> None:
    started = time.perf_counter()
    parse_challenges("Bearer " + part * 100_000)
    assert time.perf_counter() - started < 0.5
