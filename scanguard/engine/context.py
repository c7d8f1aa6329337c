"""What every handler of the engine works with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from scanguard.engine.dead import DeadLetters
from scanguard.engine.limits import EngineLimits
from scanguard.engine.plan import Host, Observer
from scanguard.engine.quota import Quotas
from scanguard.engine.reports import MergedReports
from scanguard.engine.store import Store
from scanguard.ports import Backend


@dataclass(frozen=True, slots=True)
class EngineContext:
    """The ports, what is kept over them, the plugins, the numbers, and who watches."""

    backend: Backend
    store: Store
    merged: MergedReports
    quotas: Quotas
    dead: DeadLetters
    host: Host
    limits: EngineLimits
    observe: Observer

    def now(self) -> datetime:
        """The backend's time."""
        return self.backend.clock.now()
