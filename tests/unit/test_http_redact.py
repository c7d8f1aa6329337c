from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanguard.http import redact_text, redact_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("https://a.example/v2/x", "https://a.example/v2/x", id="nothing-to-hide"),
        pytest.param("https://u:canary@a.example:444/x", "https://a.example:444/x", id="user"),
        pytest.param("https://a.example/x?sig=canary&se=2&x", "https://a.example/x?sig=***&se=***&x", id="query"),
        pytest.param("https://a.example/x?canary", "https://a.example/x?***", id="bare-query"),
        pytest.param("https://a.example/x#canary", "https://a.example/x", id="fragment"),
        pytest.param("https://u:p@canary@a.example/", "https://a.example/", id="two-ats"),
        pytest.param("https://[canary", "***", id="broken"),
    ],
)
def test_a_url_shows_where_and_no_secret(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer canary0123",
        "you sent authorization=Basic canary0123",
        "bearer canary0123 is no good",
        'token "canary0123"',
        "see https://x.example/?sig=canary0123",
        "https://user:canary0123@x.example/",
        '{"access_token":"canary0123"}',
        "password=canary0123",
        "eyJhbGciOi.canary0123.sig",
        "the value canary0123 itself",
    ],
)
def test_somebody_elses_text_shows_no_secret(text: str) -> None:
    assert "canary0123" not in redact_text(text, secrets=("canary0123",) if "itself" in text or '"' in text else ())


def test_text_is_one_short_printable_line() -> None:
    shown = redact_text("a\x1b[31m\r\nb\u202ec\x00" + "x" * 500)
    assert shown.isprintable()
    assert len(shown) == 200
    assert shown.startswith("a [31m b c")


@given(st.text(max_size=300))
def test_redaction_takes_any_text_and_does_not_change_its_own_result(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once
    assert len(once) <= 200
    redact_url(text)
