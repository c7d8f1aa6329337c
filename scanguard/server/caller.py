"""Who asks, once that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scanguard.settings.server import Permission


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose credentials are good; ``name`` is safe to log."""

    name: str
    allow: frozenset[Permission]


ANYBODY: Final = Caller("anybody", frozenset({"events", "read", "replay"}))
"""Where nothing has to be shown: a service that listens on loopback only."""
