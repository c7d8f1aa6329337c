"""Where words go: results to standard output, everything else to standard error.

A reader that leaves early (``| head``) ends the writing and nothing else, so the exit code still tells the
verdict; a terminal in another encoding gets the nearest letters.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from scanguard.errors import ScanguardError

if TYPE_CHECKING:
    from scanguard.render.document import Document
    from scanguard.render.draw import Canvas


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person looks at this stream."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def wants_colour(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Colour on a terminal that can, unless ``NO_COLOR`` is set (https://no-color.org)."""
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return bool(environ.get("FORCE_COLOR")) or is_terminal(stream)


def canvas_for(stream: TextIO | None, environ: Mapping[str, str] = os.environ) -> Canvas:
    """The canvas a stream offers: a terminal's width, or no bound for files and pipes."""
    from scanguard.render.draw import UNBOUNDED, Canvas

    width = shutil.get_terminal_size().columns if is_terminal(stream) else UNBOUNDED
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return Canvas(width, wants_colour(stream, environ), encoding)


def show(document: Document) -> None:
    """Draw a document on standard output."""
    from scanguard.render.draw import draw

    write(draw(document, canvas_for(sys.stdout)))


def write(text: str) -> None:
    """Write a result."""
    _write(sys.stdout, text)


def note(text: str) -> None:
    """Say something beside the result, on one line of standard error; foreign text in it is made harmless."""
    from scanguard.render.text import neutralise

    _write(sys.stderr, f"{neutralise(text)}\n")


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:
        return
    from scanguard.render.draw import encodable

    try:
        stream.write(encodable(text, getattr(stream, "encoding", None) or "utf-8"))
        stream.flush()
    except BrokenPipeError:
        _silence(stream)
    except OSError as exc:
        _silence(stream)
        if stream is sys.stdout:
            raise ScanguardError(f"the result cannot be written to standard output: {exc.strerror}") from exc


def _silence(stream: TextIO) -> None:
    """Let the rest of the output vanish, also what the interpreter flushes at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
