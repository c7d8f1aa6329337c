"""The secret values this process has resolved, and every spelling of them that a text may hold."""

from __future__ import annotations

import base64
import html
import re
from collections import OrderedDict
from collections.abc import Iterator
from threading import Lock
from typing import Final

HIDDEN: Final = "***"
MIN_LENGTH: Final = 4
"""A shorter value is hidden nowhere: it stands in too many words."""
LONGEST_PIECE: Final = 1_024
"""Longer values are looked for piece by piece, and so are the lines of a key file."""
_MIN_ENCODED: Final = 6
_MOST_PIECES: Final = 1_000
_SHORT_ESCAPES: Final = {"\a": "a", "\b": "b", "\t": "t", "\v": "v", "\f": "f"}
_BACKSLASHES: Final = r"\\{1,16}"
"""Bounded, or a long run of them would be read again from each of its places."""


class ResolvedSecrets:
    """Values to keep out of every text, with what they become in URLs, JSON, ``repr``, HTML, base64 and hex.

    Holds the newest thousand; a process that resolves more (a store that gives a new value each time) forgets
    the oldest.
    """

    def __init__(self) -> None:
        self._patterns: OrderedDict[str, re.Pattern[str]] = OrderedDict()
        self._lock = Lock()

    def add(self, value: str) -> None:
        """Keep a value out from now on."""
        for piece in _pieces(value):
            with self._lock:
                if piece not in self._patterns:
                    self._patterns[piece] = re.compile("|".join(_spellings(piece)))
                self._patterns.move_to_end(piece)
                if len(self._patterns) > _MOST_PIECES:
                    self._patterns.popitem(last=False)

    def hide(self, text: str) -> str:
        """The text with ``***`` for every value; a value that holds another one goes first."""
        with self._lock:
            known = sorted(self._patterns.items(), key=lambda item: len(item[0]), reverse=True)
        for _, pattern in known:
            text = pattern.sub(HIDDEN, text)
        return text


_RESOLVED: Final = ResolvedSecrets()


def conceal(value: str) -> None:
    """Keep a value that was just resolved out of this process's logs."""
    _RESOLVED.add(value)


def hide(text: str) -> str:
    """The text without any value that was resolved."""
    return _RESOLVED.hide(text)


def _pieces(value: str) -> Iterator[str]:
    for line in value.splitlines():
        stripped = line.strip()
        for start in range(0, len(stripped), LONGEST_PIECE):
            piece = stripped[start : start + LONGEST_PIECE]
            if len(piece) >= MIN_LENGTH and not piece.startswith("-----"):
                yield piece


def _spellings(piece: str) -> Iterator[str]:
    yield "".join(map(_spelling, piece))
    octets = piece.encode("utf-8", "surrogatepass")
    for fragment in _base64_fragments(octets):
        if len(fragment) >= _MIN_ENCODED:
            yield "".join(map(_base64_spelling, fragment))
    if len(octets) >= _MIN_ENCODED:
        yield f"(?i:{octets.hex()})"


def _spelling(character: str) -> str:
    """A character as it is, or escaped for a URL (once or more often), JSON, ``repr`` or HTML."""
    if character.isascii() and character.isalnum():
        return character
    plain = re.escape(character)
    ways = [plain, rf"{_BACKSLASHES}{plain}"]
    octets = character.encode("utf-8", "surrogatepass")
    ways.append("(?i:" + "".join(f"%{{1,2}}(?:25)*{octet:02x}" for octet in octets) + ")")
    units = re.findall("....", character.encode("utf-16-be", "surrogatepass").hex())
    ways.append("(?i:" + "".join(rf"{_BACKSLASHES}u{unit}" for unit in units) + ")")
    ways.append(
        rf"(?i:{_BACKSLASHES}x{ord(character):02x})"
        if ord(character) < 256
        else rf"(?i:{_BACKSLASHES}U{ord(character):08x})"
    )
    if character in _SHORT_ESCAPES:
        ways.append(_BACKSLASHES + _SHORT_ESCAPES[character])
    if (escaped := html.escape(character)) != character:
        ways += [re.escape(escaped), f"&#{ord(character)};"]
    if character == " ":
        ways.append(r"\+")
    return f"(?:{'|'.join(ways)})"


def _base64_fragments(octets: bytes) -> Iterator[str]:
    """What base64 makes of the value wherever it stands in a longer text: ``user:password``, say.

    Six bits make a character, so there are three alignments; characters that share bits with a neighbour are left out.
    """
    for lead in range(3):
        encoded = base64.b64encode(bytes(lead) + octets).decode()
        yield encoded[-(-lead * 8 // 6) : (lead + len(octets)) * 8 // 6]


def _base64_spelling(character: str) -> str:
    if character == "+":
        return "(?:[+-]|%2[Bb])"
    return "(?:[/_]|%2[Ff])" if character == "/" else character
