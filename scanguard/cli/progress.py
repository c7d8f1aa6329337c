"""Progress on standard error: a live list on a terminal, one line per step otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from scanguard.cli.output import is_terminal, note, wants_colour
from scanguard.render.text import neutralise, truncate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import RenderableType

    from scanguard.app import Progress

Listener = Callable[["Progress"], None]


def progress_listener(environ: Mapping[str, str]) -> AbstractContextManager[Listener]:
    """A listener that fits where standard error goes."""
    if is_terminal(sys.stderr) and environ.get("TERM") != "dumb":
        return _live(wants_colour(sys.stderr, environ))
    return _lines()


def sentence(step: Progress) -> str:
    """``nginx:1.25: scanning with osv (layer 3 of 7)``."""
    by = f" with {step.instance}" if step.instance else ""
    detail = f" ({step.detail})" if step.detail else ""
    return f"{step.image or step.assessment}: {step.phase}{by}{detail}"


@contextmanager
def _lines() -> Iterator[Listener]:
    said: dict[tuple[str, str, str], str] = {}

    def listen(step: Progress) -> None:
        key = (step.assessment, step.image, step.instance)
        if said.get(key) != step.phase:
            said[key] = step.phase
            note(sentence(step))

    yield listen


@contextmanager
def _live(colour: bool) -> Iterator[Listener]:
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, no_color=not colour, highlight=False, markup=False, emoji=False)
    board = _Board()
    with Live(board, console=console, transient=True, refresh_per_second=8):
        yield board.listen


class _Board:
    """The newest step of every image and scanner, drawn again and again."""

    _MOST = 8

    def __init__(self) -> None:
        self._steps: dict[tuple[str, str, str], tuple[Progress, float]] = {}

    def listen(self, step: Progress) -> None:
        key = (step.assessment, step.image, step.instance)
        if step.instance:
            self._steps.pop((step.assessment, step.image, ""), None)
        began = self._steps[key][1] if key in self._steps else time.monotonic()
        self._steps[key] = (step, began)
        if step.phase in ("done", "failed"):
            del self._steps[key]

    def __rich__(self) -> RenderableType:
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 1, 0, 0))
        active = list(self._steps.values())
        for step, began in active[: self._MOST]:
            waited = f"  {time.monotonic() - began:.0f} s"
            text = Text(truncate(neutralise(sentence(step)), 160), no_wrap=True, overflow="ellipsis")
            grid.add_row(Spinner("dots"), text, Text(waited, "dim"))
        if len(active) > self._MOST:
            grid.add_row("", Text(f"and {len(active) - self._MOST} more", "dim"), "")
        return grid
