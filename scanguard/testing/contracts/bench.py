"""What the suites of the ports share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from scanguard.ports import Backend
from scanguard.testing.memory import ManualClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)

Reopen = Callable[[], AbstractAsyncContextManager[Backend]]
"""Opens the data of a backend under test once more."""


@dataclass
class Bench:
    """A backend under test, empty, and the clock it was given, which stands at :data:`NOW`.

    Attributes:
        ports: The backend.
        clock: Its clock.
        reopen: Opens the same data a second time; None where nothing else can.
    """

    ports: Backend
    clock: ManualClock
    reopen: Reopen | None = None
