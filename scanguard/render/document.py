"""What renderers make: lines, labelled entries and tables of styled text, without any drawing.

A document is data, so renderers are pure and their tests read words instead of escape sequences; how wide and
how colourful it becomes is decided by :func:`scanguard.render.draw.draw` alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

from scanguard.model.severity import Severity
from scanguard.model.verdict import Outcome
from scanguard.render.text import neutralise

Style = Literal["", "strong", "muted", "good", "notice", "bad", "dire", "odd", "heading", "column", "badge-pass",
                "badge-warn", "badge-fail", "badge-unknown"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text in one style. Whatever is put in has its control characters neutralised."""

    text: str
    style: Style = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", neutralise(self.text))


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph, wrapped where the terminal ends; ``indent`` in columns."""

    spans: tuple[Span, ...] = ()
    indent: int = 0

    @classmethod
    def of(cls, *parts: str | Span, indent: int = 0) -> Self:
        """Build from plain text and spans."""
        return cls(tuple(Span(part) if isinstance(part, str) else part for part in parts), indent)


@dataclass(frozen=True, slots=True)
class Entries:
    """Labels and what belongs to them, aligned; a wrapped value stays in its column."""

    rows: tuple[tuple[Span, Line], ...]
    indent: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    ``weight`` says who gives way in a narrow terminal: 0 never, higher sooner. ``needs`` is the terminal width
    from which the column is shown at all. A column that is ``right`` holds numbers; one that ``wraps`` takes
    more lines instead of being cut.
    """

    title: str
    weight: int = 0
    needs: int = 0
    right: bool = False
    wraps: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; each row has one span per column."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Span, ...], ...]
    indent: int = 0


Block = Line | Entries | Table
Document = tuple[Block, ...]

BLANK = Line()

_SEVERITY_STYLES: dict[Severity, Style] = {
    Severity.CRITICAL: "dire",
    Severity.HIGH: "bad",
    Severity.MEDIUM: "notice",
    Severity.LOW: "",
    Severity.NEGLIGIBLE: "muted",
    Severity.UNKNOWN: "odd",
}
_BADGES: dict[Outcome, Style] = {
    Outcome.PASS: "badge-pass",
    Outcome.WARN: "badge-warn",
    Outcome.FAIL: "badge-fail",
    Outcome.UNKNOWN: "badge-unknown",
}


def severity_span(severity: Severity, text: str | None = None) -> Span:
    """A severity, or a text about one, in its colour."""
    return Span(severity.value if text is None else text, _SEVERITY_STYLES[severity])


def badge(outcome: Outcome) -> Span:
    """A verdict in capitals."""
    return Span(outcome.value.upper(), _BADGES[outcome])


def heading(text: str, *, indent: int = 0) -> Line:
    """The title of a section."""
    return Line.of(Span(text, "heading"), indent=indent)


def joined(parts: Iterable[Span], separator: str = ", ") -> tuple[Span, ...]:
    """Spans with a separator between them."""
    spans: list[Span] = []
    for part in parts:
        if spans:
            spans.append(Span(separator, "muted"))
        spans.append(part)
    return tuple(spans)


def words(document: Document) -> str:
    """The document's text, a line per row, unaligned: for logs, messages and tests."""
    return "\n".join(line for block in document for line in _block_words(block))


def _block_words(block: Block) -> list[str]:
    if isinstance(block, Line):
        return ["".join(span.text for span in block.spans)]
    if isinstance(block, Entries):
        return [f"{label.text} {''.join(span.text for span in line.spans)}" for label, line in block.rows]
    heads = "  ".join(column.title for column in block.columns)
    return [heads, *("  ".join(span.text for span in row) for row in block.rows)]
