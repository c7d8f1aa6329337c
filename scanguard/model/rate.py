"""Limits on requests: so many in any window of so many seconds."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, Field, WithJsonSchema

from scanguard.model.base import Model

_TEXT: Final = re.compile(r"([1-9][0-9]{0,6})\s*/\s*([1-9][0-9]{0,4})?\s*([smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Rate(Model):
    """At most ``requests`` in any ``window_s`` seconds, wherever the window starts; written ``300/h``, ``120/60s``."""

    requests: int = Field(ge=1, le=1_000_000)
    window_s: float = Field(ge=1, le=86_400)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``30/m``, ``300/h``, ``120/60s``; ValueError for anything else."""
        found = _TEXT.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is no rate: write requests per time, such as 30/m, 300/h or 120/60s")
        return cls(requests=int(found[1]), window_s=int(found[2] or 1) * _UNITS[found[3]])

    def __str__(self) -> str:
        """``300/3600s``."""
        return f"{self.requests}/{self.window_s:g}s"


def _rate(value: object) -> object:
    return Rate.parse(value) if isinstance(value, str) else value


RateText = Annotated[
    Rate,
    BeforeValidator(_rate),
    WithJsonSchema({"type": "string", "pattern": f"^{_TEXT.pattern}$", "examples": ["300/h", "30/m", "120/60s"]}),
]
"""A rate as it is written in a configuration."""
