from __future__ import annotations

import pytest
from rich.cells import cell_len

from scanguard.render.document import Column, Document, Entries, Line, Span, Table, words
from scanguard.render.draw import UNBOUNDED, Canvas, draw, encodable

TABLE = Table(
    (Column("SEVERITY"), Column("PACKAGE", weight=1), Column("TITLE", weight=9, needs=100), Column("N", right=True)),
    (
        (Span("CRITICAL", "dire"), Span("libssl1.1"), Span("a title"), Span("7")),
        (Span("LOW"), Span("a-package-with-a-name-that-goes-on-and-on-for-ever-and-ever-and-ever-and-more"), Span(""),
         Span("1,204")),
    ),
)  # fmt: skip
DOCUMENT: Document = (
    Line.of("one ", Span("two", "strong"), indent=2),
    Entries(((Span("label"), Line.of("value " * 40)),), indent=2),
    TABLE,
)


@pytest.mark.parametrize("width", [20, 40, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    drawn = draw((DOCUMENT[0], DOCUMENT[1]), Canvas(width))
    assert max(cell_len(line) for line in drawn.splitlines()) <= width
    if width >= 40:
        assert max(cell_len(line) for line in draw((TABLE,), Canvas(width)).splitlines()) <= width


def test_a_pipe_gets_everything_uncut_on_one_line_per_row() -> None:
    lines = draw((TABLE,), Canvas(UNBOUNDED)).splitlines()
    assert len(lines) == 3
    assert "for-ever-and-ever-and-ever-and-more" in lines[2]
    assert "a title" in lines[1]
    assert not any(line != line.rstrip() for line in lines)


def test_a_narrow_terminal_cuts_what_may_be_cut_and_says_so() -> None:
    drawn = draw((TABLE,), Canvas(60))
    assert "CRITICAL" in drawn
    assert "1,204" in drawn
    assert "…" in drawn
    assert "TITLE" not in drawn


def test_a_column_that_wraps_loses_nothing() -> None:
    column = Column("WHY", weight=1, wraps=True)
    why = "the quick brown fox jumps over the lazy dog again and again"
    drawn = draw((Table((Column("WHAT"), column), ((Span("x"), Span(why)),)),), Canvas(30))
    assert " ".join(drawn.replace("WHAT", "").replace("WHY", "").replace("x ", " ", 1).split()) == why


def test_escape_sequences_appear_only_where_colour_is_welcome() -> None:
    assert "\x1b[" in draw(DOCUMENT, Canvas(80, colour=True))
    assert "\x1b" not in draw(DOCUMENT, Canvas(80))


def test_markup_and_emoji_codes_of_foreign_text_are_plain_text() -> None:
    assert draw((Line.of("[bold red]x[/] :penguin: \x1b[31m"),), Canvas(80)) == "[bold red]x[/] :penguin: \\x1b[31m\n"


def test_colour_does_not_let_foreign_sequences_through() -> None:
    drawn = draw((Line.of(Span("evil\x1b]0;title\x07", "bad")),), Canvas(80, colour=True))
    assert "\x1b]" not in drawn
    assert "\x07" not in drawn


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        pytest.param("utf-8", "… · → é", id="utf-8"),
        pytest.param("ascii", r"... - -> \xe9", id="ascii"),
        pytest.param("latin-1", "... - -> é", id="latin-1"),
        pytest.param("no-such-encoding", r"... - -> \xe9", id="unknown"),
    ],
)
def test_every_encoding_gets_its_nearest_letters(encoding: str, expected: str) -> None:
    assert encodable("… · → é", encoding) == expected


def test_words_give_the_text_without_drawing() -> None:
    assert words((Line.of("a", Span("b")), TABLE)).splitlines()[:2] == ["ab", "SEVERITY  PACKAGE  TITLE  N"]
