"""What a report of an image is called; never a way out of the place where reports are."""

from __future__ import annotations

import re
from string import Formatter
from typing import Final

from scanguard.errors import ScanUnsupportedError
from scanguard.model.image import ResolvedImage

_FIELDS: Final = frozenset({"algorithm", "hex", "config_hex", "registry", "repository"})
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_@+=-][A-Za-z0-9._@+=-]{0,254}")


def check_template(template: str) -> str:
    """The template, when it names known fields only and could name the image; ValueError otherwise."""
    try:
        named = {name for _, name, spec, conversion in Formatter().parse(template) if name is not None
                 and not (spec or conversion)}  # fmt: skip
        plain = [part for part in Formatter().parse(template) if part[2] or part[3]]
    except ValueError:
        raise ValueError("braces hold a field, such as {hex}") from None
    if plain or not named <= _FIELDS:
        raise ValueError(
            f"known fields are {', '.join(f'{{{name}}}' for name in sorted(_FIELDS))}, and nothing in them"
        )
    if not named & {"hex", "config_hex"}:
        raise ValueError("a report is found by its image's digest: use {hex} or {config_hex}")
    _segments(template.format_map(dict.fromkeys(_FIELDS, "x")))
    return template


def place_of(template: str, image: ResolvedImage) -> str:
    """The relative path of an image's report; ScanUnsupportedError when the image lacks what the path names."""
    algorithm, _, digits = image.digest.partition(":")
    reference = image.reference
    values = {
        "algorithm": algorithm,
        "hex": digits,
        "config_hex": (image.config_digest or "").rpartition(":")[2],
        "registry": reference.registry.replace(":", "_") if reference else "",
        "repository": reference.repository if reference else "",
    }
    missing = [name for name, value in values.items() if not value and f"{{{name}}}" in template]
    if missing:
        raise ScanUnsupportedError(
            f"{image.source} has no {' and no '.join(missing)}, which the path of reports names", plugin="reports"
        )
    return "/".join(_segments(template.format_map(values)))


def _segments(path: str) -> list[str]:
    segments = path.split("/")
    if any(_SEGMENT.fullmatch(segment) is None for segment in segments):
        raise ValueError("a path is made of names of letters, digits and ._@+=-, that begin with no dot")
    return segments
