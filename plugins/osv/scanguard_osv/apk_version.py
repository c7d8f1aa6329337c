"""The order of Alpine's package versions, as apk-tools 2.12 has it.

Own code because no library orders all of apk's own test vectors: univers 32.0.1 refuses 69 of the 10,391 in
this plugin's tests, all of them versions that apk accepts or orders as broken.

A version is digits, then any of ``.digits``, one letter, ``_suffix[digits]`` and ``-rdigits``, in that order.
Reading stops at the first part out of order; what was read until there is compared, and the kind of what
would come next decides between equals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum


class _Part(IntEnum):
    """What comes next; in this order a lower one makes the greater version."""

    BROKEN = -1
    FRACTION = 0
    NUMBER = 1
    LETTER = 2
    SUFFIX = 3
    SUFFIX_NUMBER = 4
    REVISION = 5
    END = 6


_SUFFIXES = {"alpha": -4, "beta": -3, "pre": -2, "rc": -1, "cvs": 0, "svn": 1, "git": 2, "hg": 3, "p": 4}
_SUFFIX = re.compile("|".join(_SUFFIXES))
_DIGITS = re.compile(r"[0-9]*")
_ZEROS = re.compile(r"0*")
_MARK = re.compile(r"\.|_|-r(?![a-z])")
_MARKS = {".": _Part.FRACTION, "_": _Part.SUFFIX, "-": _Part.REVISION}
_MAX_DIGITS = 17
_MAY_FOLLOW = {
    (_Part.FRACTION, _Part.NUMBER),
    (_Part.SUFFIX, _Part.SUFFIX_NUMBER),
    (_Part.NUMBER, _Part.LETTER),
}
"""The steps back (next, previous) that are in order all the same."""


def compare_apk(a: str, b: str) -> int:
    """-1, 0 or 1 as ``a`` is older than, the same as, or newer than ``b``; any text has a place."""
    for (a_value, a_next, a_rest), (b_value, b_next, b_rest) in zip(_parts(a), _parts(b), strict=False):
        if a_value != b_value:
            return -1 if a_value < b_value else 1
        if a_next is not b_next:
            return _compare_next(a_next, a_rest, b_next, b_rest)
    return 0


def _compare_next(a: _Part, a_rest: str, b: _Part, b_rest: str) -> int:
    """Equal so far, then something different: the longer is newer, unless it adds a pre-release or is broken."""
    if _is_broken(a, a_rest) or _is_broken(b, b_rest):
        return _is_broken(b, b_rest) - _is_broken(a, a_rest)
    if a is _Part.SUFFIX and _suffix(a_rest)[0] < 0:
        return -1
    if b is _Part.SUFFIX and _suffix(b_rest)[0] < 0:
        return 1
    return -1 if a > b else 1


def _is_broken(kind: _Part, rest: str) -> bool:
    """Also a fraction that begins with a letter: it is read on, for it may differ later, but it is older."""
    return kind is _Part.BROKEN or (kind is _Part.FRACTION and "a" <= rest[:1] <= "z")


def _parts(text: str) -> Iterator[tuple[int, _Part, str]]:
    """Yield each part's value, the kind of part that comes next, and the text left."""
    kind, rest = _Part.NUMBER, text
    while kind not in (_Part.END, _Part.BROKEN):
        value, kind, rest = _read(kind, rest)
        yield value, kind, rest


def _read(kind: _Part, text: str) -> tuple[int, _Part, str]:
    if not text:
        return 0, _Part.END, ""
    if kind is _Part.FRACTION and text[0] == "0":
        # Leading zeros make a fraction smaller, the more the smaller; its digits are the part after.
        zeros = _match_length(_ZEROS, text)
        return -zeros, _Part.NUMBER if text[zeros:] else _Part.END, text[zeros:]
    value, length = _value(kind, text)
    if length is None:
        return value, _Part.BROKEN, text
    rest = text[length:]
    return (value, *_next(kind, rest)) if rest else (value, _Part.END, "")


def _value(kind: _Part, text: str) -> tuple[int, int | None]:
    """The part's value and length; length None when it is none."""
    if kind is _Part.LETTER:
        return ord(text[0]), 1
    if kind is _Part.SUFFIX:
        return _suffix(text)
    length = _match_length(_DIGITS, text)
    return (int(text[:length] or "0"), length) if length <= _MAX_DIGITS else (-1, None)


def _suffix(text: str) -> tuple[int, int | None]:
    found = _SUFFIX.match(text)
    return (_SUFFIXES[found[0]], len(found[0])) if found else (-1, None)


def _next(kind: _Part, text: str) -> tuple[_Part, str]:
    """The kind of the part that ``text`` starts with, and the text after its mark."""
    following, rest = _marked(kind, text)
    if following < kind and (following, kind) not in _MAY_FOLLOW:
        following = _Part.BROKEN
    return following, rest


def _marked(kind: _Part, text: str) -> tuple[_Part, str]:
    first = text[0]
    is_digit = "0" <= first <= "9"
    if kind in (_Part.NUMBER, _Part.FRACTION) and "a" <= first <= "z":
        return _Part.LETTER, text
    if kind is _Part.LETTER and is_digit:
        return _Part.NUMBER, text
    if kind is _Part.SUFFIX and is_digit:
        return _Part.SUFFIX_NUMBER, text
    mark = _MARK.match(text)
    return (_MARKS[mark[0][:1]], text[mark.end() :]) if mark else (_Part.BROKEN, text[1:])


def _match_length(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.match(text)
    return found.end() if found else 0
