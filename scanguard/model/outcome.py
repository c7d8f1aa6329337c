"""What a verdict comes down to."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Outcome(StrEnum):
    """``unknown`` means that nobody looked, or not everywhere: it is never a ``pass``."""

    PASS = "pass"  # noqa: S105  # a verdict, not a password
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"

    @classmethod
    def worst(cls, outcomes: Iterable[Outcome]) -> Outcome:
        """Combine: fail, then unknown, then warn; nothing to combine is unknown."""
        found = set(outcomes)
        for outcome in (cls.FAIL, cls.UNKNOWN, cls.WARN, cls.PASS):
            if outcome in found:
                return outcome
        return cls.UNKNOWN
