"""Read what a registry answers with 401: the ``WWW-Authenticate`` header (RFC 9110 section 11)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_HEADER_LENGTH = 8192

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  # the grammar's word for a bare word
_SCHEME = re.compile(rf"\s*({_TOKEN})(?=\s|,|$)")
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)')
_SKIP = re.compile(r"[^,]*,?")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate; scheme and parameter names in lower case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> list[Challenge]:
    """Read every challenge of a header; what cannot be read is skipped.

    Commas separate challenges and parameters alike, and quoted values may hold commas
    (``scope="repository:a/b:pull,push"``).
    """
    text = header[:MAX_HEADER_LENGTH]
    challenges: list[Challenge] = []
    parameters: dict[str, str] = {}
    position = 0
    while position < len(text):
        if challenges and (found := _PARAMETER.match(text, position)):
            name, quoted, bare = found.groups()
            parameters.setdefault(name.lower(), bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        elif found := _SCHEME.match(text, position):
            parameters = {}
            challenges.append(Challenge(found.group(1).lower(), parameters))
            position = found.end()
            # `Negotiate, Basic realm=x`: a scheme without parameters is followed by a comma
            comma = re.compile(r"\s*,").match(text, position)
            position = comma.end() if comma else position
            continue
        else:
            found = _SKIP.match(text, position)
        position = max(found.end() if found else len(text), position + 1)
    return challenges
