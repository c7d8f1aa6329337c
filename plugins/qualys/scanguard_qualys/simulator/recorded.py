"""What the simulator was asked: every request, every submission, and how full the fullest window was."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

MAX_KEPT: Final = 500_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: when (simulated seconds), what, and the status of the answer (0 when there was none)."""

    at: float
    method: str
    path: str
    status: int


@dataclass
class Recorded:
    """What happened so far; logins and questions to the simulator itself do not count as requests."""

    requests: deque[Asked] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))
    logins: int = 0
    submissions: Counter[str] = field(default_factory=Counter)
    """Accepted submissions by image."""
    refused: Counter[str] = field(default_factory=Counter)
    """Refusals by reason: ``throttled``, ``unauthorized`` …"""

    def worst_window(self, seconds: float) -> int:
        """Most requests, refused ones too, within so many simulated seconds, wherever the window starts."""
        times = [one.at for one in self.requests]
        return max((index + 1 - bisect_left(times, at - seconds + 1e-9) for index, at in enumerate(times)), default=0)

    def summary(self) -> dict[str, object]:
        """The same as JSON."""
        return {
            "requests": len(self.requests),
            "by_path": dict(Counter(f"{one.method} {_shape(one.path)}" for one in self.requests)),
            "by_status": {str(status): n for status, n in Counter(one.status for one in self.requests).items()},
            "worst_minute": self.worst_window(60),
            "worst_hour": self.worst_window(3600),
            "logins": self.logins,
            "submissions": dict(self.submissions),
            "refused": dict(self.refused),
        }


def _shape(path: str) -> str:
    """The path with ids left out."""
    parts = [part if not any(c.isdigit() for c in part) or part == "v1.3" else "{id}" for part in path.split("/")]
    return "/".join(parts)
