"""What the suites of the ports share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from scanguard.ports import Backend
from scanguard.testing.memory import ManualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Bench:
    """A backend under test, empty, and the clock it was given, which stands at :data:`NOW`."""

    ports: Backend
    clock: ManualClock
