"""Words for people: foreign text made harmless, lengths cut, times and counts said plainly.

:func:`neutralise` is the one door between text from outside (image names, titles, a registry's errors) and a
terminal. Every :class:`~scanguard.render.document.Span` goes through it, so a renderer cannot forget.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta
from typing import Final

ELLIPSIS: Final = "…"
MAX_TEXT: Final = 2_000
"""Longest run of foreign text that is shown, in characters."""

_HARMFUL: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SPACES: Final = "\t\n\v\f\r\x85\u2028\u2029"
_UNITS: Final = ((86_400, "day", "days"), (3_600, "h", "h"), (60, "min", "min"), (1, "s", "s"))


def neutralise(text: str, *, limit: int = MAX_TEXT) -> str:
    r"""Make foreign text safe to print on one line of a terminal.

    Line breaks and tabs become one space; every other control, format (bidirectional overrides, zero-width),
    surrogate or unassigned character becomes a visible escape such as ``\x1b``. What is longer than ``limit``
    characters ends in an ellipsis. Doing it twice changes nothing more.
    """
    cut = truncate(text, limit)
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(map(_shown, cut))


def _shown(character: str) -> str:
    if character in _SPACES:
        return " "
    if unicodedata.category(character) not in _HARMFUL:
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def truncate(text: str, width: int) -> str:
    """Cut to at most ``width`` characters, the last of them an ellipsis when something was cut."""
    if len(text) <= width:
        return text
    return text[: max(width - 1, 0)] + ELLIPSIS if width > 0 else ""


def short_digest(digest: str, hex_digits: int = 12) -> str:
    """``sha256:`` and the first digits: enough to recognise, not to pull."""
    algorithm, colon, value = digest.partition(":")
    return f"{algorithm}{colon}{value[:hex_digits]}"


def short_id(identifier: str) -> str:
    """The beginning of an assessment's id: unique enough for ``scanguard explain``."""
    return identifier[:12]


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 finding``, ``2 findings``, ``1,204 findings``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listing(words: list[str], most: int = 5) -> str:
    """``a, b, c and 4 more``."""
    shown = ", ".join(words[:most])
    rest = len(words) - most
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def span_of(length: timedelta) -> str:
    """A length of time in its largest whole unit: ``3 h``, ``1 day``; never negative."""
    seconds = max(int(length.total_seconds()), 0)
    for size, one, many in _UNITS:
        if seconds >= size:
            number = seconds // size
            return f"{number:,} {one if number == 1 else many}"
    return "0 s"


def ago(moment: datetime, now: datetime) -> str:
    """``3 h ago``; ``just now`` within two seconds, and for a clock that runs slightly ahead; ``in 3 h``."""
    passed = now - moment
    if abs(passed) < timedelta(seconds=2):
        return "just now"
    if passed < timedelta(0):
        return f"in {span_of(-passed)}"
    return f"{span_of(passed)} ago"


def instant(moment: datetime) -> str:
    """``2026-11-23 10:29:49 UTC``."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
