"""What every source of advisories gives: matches, doubts, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from scanguard_osv.matching import Match, Undecided
from scanguard_osv.packages import InstalledPackage

Groups = Mapping[str, Sequence[InstalledPackage]]
"""Packages by the ecosystem, with release, to look them up in."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a source says of one ecosystem.

    ``updated_at`` dates the data (None for a live service), ``broken`` counts records that could not be read.
    """

    is_held: bool
    updated_at: datetime | None = None
    broken: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source says of an image's packages."""

    matches: tuple[Match, ...]
    undecided: tuple[Undecided, ...]
    held: Mapping[str, Held]


class AdvisorySource(Protocol):
    """A place that knows advisories; ``name`` is how reports speak of it."""

    name: str

    async def look_up(self, groups: Groups) -> Answer:
        """Find the advisories about packages. Raises ScanError."""
