"""Documents drawn as text of a given width, with or without colour; rich does the measuring."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scanguard.render.document import Block, Column, Document, Entries, Line, Span, Style, Table

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table as RichTable
    from rich.text import Text

UNBOUNDED: Final = 100_000
"""Width for files and pipes: nothing is cut or wrapped."""

_LEAST: Final = 20
_COLOURS: Final[dict[Style, str]] = {
    "": "",
    "strong": "bold",
    "muted": "dim",
    "good": "green",
    "notice": "yellow",
    "bad": "red",
    "dire": "bold red",
    "odd": "magenta",
    "heading": "bold",
    "column": "bold dim",
    "badge-pass": "bold green",
    "badge-warn": "bold yellow",
    "badge-fail": "bold red",
    "badge-unknown": "bold magenta",
}
_PLAIN_LETTERS: Final = str.maketrans({"…": "...", "·": "-", "→": "->", "≥": ">="})


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where a document goes: ``width`` in columns, whether colour is welcome, and what can be encoded."""

    width: int = UNBOUNDED
    colour: bool = False
    encoding: str = "utf-8"


def draw(document: Document, canvas: Canvas) -> str:
    """Draw; the text ends in a newline unless the document is empty, and encodes in the canvas's encoding."""
    target = io.StringIO()
    console = _console(target, canvas)
    for block in document:
        console.print(_renderable(block, canvas), soft_wrap=False)
    text = target.getvalue()
    if not canvas.colour:
        text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    return encodable(text, canvas.encoding)


def encodable(text: str, encoding: str) -> str:
    """The same text in letters that an encoding has; typographic ones become their ASCII cousins."""
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        known = text.translate(_PLAIN_LETTERS)
        try:
            return known.encode(encoding, "backslashreplace").decode(encoding)
        except LookupError:
            return known.encode("ascii", "backslashreplace").decode("ascii")
    return text


def _console(target: io.StringIO, canvas: Canvas) -> Console:
    from rich.console import Console

    return Console(
        file=target,
        width=max(canvas.width, _LEAST),
        color_system="standard" if canvas.colour else None,
        force_terminal=canvas.colour,
        force_jupyter=False,
        no_color=not canvas.colour,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )


def _renderable(block: Block, canvas: Canvas) -> RenderableType:
    from rich.padding import Padding

    if isinstance(block, Line):
        inner: RenderableType = _text(block.spans)
    elif isinstance(block, Entries):
        inner = _entries(block)
    else:
        inner = _table(block, canvas)
    return Padding(inner, (0, 0, 0, block.indent), expand=False) if block.indent else inner


def _text(spans: tuple[Span, ...]) -> Text:
    from rich.text import Text

    text = Text()
    for span in spans:
        text.append(span.text, _COLOURS[span.style])
    return text


def _entries(block: Entries) -> RichTable:
    from rich.table import Table as RichTable

    grid = RichTable.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for label, line in block.rows:
        grid.add_row(_text((label,)), _text(line.spans))
    return grid


def _table(block: Table, canvas: Canvas) -> RichTable:
    from rich.table import Table as RichTable

    shown = [index for index, column in enumerate(block.columns) if canvas.width >= column.needs]
    widths = _widths(block, shown, canvas.width - block.indent)
    table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=_COLOURS["column"])
    for index, width in zip(shown, widths, strict=True):
        column = block.columns[index]
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=not column.wraps,
            overflow="fold" if column.wraps else "ellipsis",
            width=width,
        )
    for row in block.rows:
        table.add_row(*(_text((row[index],)) for index in shown))
    return table


def _widths(block: Table, shown: list[int], room: int) -> list[int]:
    """Natural widths, then columns give way by weight until the table fits."""
    from rich.cells import cell_len

    columns = [block.columns[index] for index in shown]
    widths = [
        max([cell_len(block.columns[index].title), *(cell_len(row[index].text) for row in block.rows)])
        for index in shown
    ]
    excess = sum(widths) + 2 * (len(widths) - 1) - room
    for weight in sorted({column.weight for column in columns if column.weight}, reverse=True):
        excess = _shrink(widths, columns, weight, excess)
    return widths


def _shrink(widths: list[int], columns: list[Column], weight: int, excess: int) -> int:
    """Take columns of one weight down, widest first, to no less than their heading; return what is still too much."""
    able = [index for index, column in enumerate(columns) if column.weight == weight]
    while excess > 0:
        spare = [index for index in able if widths[index] > max(len(columns[index].title), 6)]
        if not spare:
            break
        widths[max(spare, key=lambda index: widths[index])] -= 1
        excess -= 1
    return excess
