"""The contract of a backend: all five ports."""

from __future__ import annotations

from typing import Any

import pytest

from scanguard.testing.contracts.bench import NOW, Bench, Reopen
from scanguard.testing.contracts.ports_queue import QueueContract
from scanguard.testing.contracts.ports_records import RecordsContract, ReportsContract
from scanguard.testing.contracts.ports_shared import SharedContract
from scanguard.testing.contracts.ports_state import StateContract
from scanguard.testing.memory import ManualClock


class BackendContract(StateContract, QueueContract, ReportsContract, RecordsContract, SharedContract):
    """What the engine relies on.

    Override ``backend`` with an async generator fixture, and ``reopen`` where another process can open the same
    data::

        class TestMyBackend(BackendContract):
            @pytest_asyncio.fixture
            async def backend(self, clock, tmp_path):
                async with my_backend(tmp_path, clock) as ports:
                    yield ports

            @pytest.fixture
            def reopen(self, clock, tmp_path):
                return lambda: my_backend(tmp_path, clock)
    """

    @pytest.fixture
    def clock(self) -> ManualClock:
        """The clock to give the backend; it stands at NOW until a clause moves it."""
        return ManualClock(NOW)

    @pytest.fixture
    def backend(self, clock: ManualClock) -> Any:  # noqa: ANN401  # overridden by an async generator of a Backend
        """An empty :class:`~scanguard.ports.Backend` on ``clock``."""
        raise NotImplementedError("override the fixture `backend`")

    @pytest.fixture
    def reopen(self) -> Reopen | None:
        """Opens the same data a second time, as another process would; None where nothing else can."""
        return None

    @pytest.fixture
    def bench(self, backend: Any, clock: ManualClock, reopen: Reopen | None) -> Bench:  # noqa: ANN401  # a Backend
        """What the clauses work with."""
        return Bench(backend, clock, reopen)
