"""Asks queues that have been empty for a while less often: every look is a request that is paid for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

PATIENCE: Final = 8
"""Empty looks one after another before the pauses begin."""
PAUSE: Final = timedelta(seconds=2)


class IdleLooks:
    """When the queues of a handle may be looked at again; what is sent through it ends the pauses."""

    def __init__(self) -> None:
        self._empty = 0
        self._looked: datetime | None = None

    def may_look(self, now: datetime) -> bool:
        """Whether it is time; a clock that was set back makes it so."""
        if self._looked is None or self._empty < PATIENCE:
            return True
        return not timedelta(0) <= now - self._looked < PAUSE

    def saw(self, number: int, now: datetime) -> None:
        """How many messages a look found."""
        self._empty = 0 if number else self._empty + 1
        self._looked = now

    def expect(self) -> None:
        """There may be some now."""
        self._empty = 0
