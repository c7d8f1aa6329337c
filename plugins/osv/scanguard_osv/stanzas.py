"""Blocks of ``Key: value`` lines, as dpkg and Python's core metadata write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


def read_stanzas(text: str) -> Iterator[Mapping[str, str]]:
    """Yield each block of ``Key: value`` lines; blocks end at an empty line.

    Keys are lower-cased; of a repeated key the first value counts. Continuation lines (a leading space or tab)
    are left out, because nothing read here spans lines. Lines of any other form are skipped.
    """
    block: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            if block:
                yield block
            block = {}
        elif line[0] not in " \t":
            key, colon, value = line.partition(":")
            if colon:
                block.setdefault(key.strip().lower(), value.strip())
    if block:
        yield block
