"""Shell patterns over slash-separated names, as Go's ``path.Match`` has them."""

from __future__ import annotations

import re
from functools import lru_cache

MAX_PATTERN_LENGTH = 512
_CHARACTER = r"(?:\\.|[^\\\]\-])"
_TOKEN = re.compile(rf"\*+|\?|\[(\^?)((?:{_CHARACTER}(?:-{_CHARACTER})?)+)\]|\\(.)|([^\\\[*?])", re.DOTALL)


@lru_cache(maxsize=256)
def compile_path_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a pattern for ``fullmatch``; raises ``ValueError`` when it is broken or too long.

    ``*`` is any run of characters without a slash, ``?`` one such character, ``[a-z]`` and ``[^a-z]`` a set, and a
    backslash takes the next character literally.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ValueError(f"a pattern has at most {MAX_PATTERN_LENGTH} characters")
    parts = []
    position = 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None:
            raise ValueError(f"{pattern!r} is no pattern: look at {pattern[position:]!r}")
        parts.append(_translate(token))
        position = token.end()
    return re.compile("".join(parts), re.DOTALL)


def _translate(token: re.Match[str]) -> str:
    negated, members, escaped, literal = token.groups()
    if members is not None:
        return f"[{negated}{members}]"
    if escaped is not None or literal is not None:
        return re.escape(escaped or literal)
    return "[^/]" if token.group() == "?" else "[^/]*"
