"""Lengths of time as a configuration writes them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import BeforeValidator

_TEXT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|m|h|d|w)")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _duration(value: object) -> object:
    found = _TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    if isinstance(value, int | float):
        raise ValueError("say which unit, such as 90s, 30m, 24h or 7d")
    return value


DurationText = Annotated[timedelta, BeforeValidator(_duration)]
"""``90s``, ``30m``, ``24h``, ``7d``, ``1w`` or ISO 8601; whoever uses it says how long is too long."""
