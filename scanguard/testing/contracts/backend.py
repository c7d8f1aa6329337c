"""The contract of a backend: all five ports."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from scanguard.testing.contracts.bench import Bench
from scanguard.testing.contracts.ports_queue import QueueContract
from scanguard.testing.contracts.ports_records import RecordsContract, ReportsContract
from scanguard.testing.contracts.ports_state import StateContract


class BackendContract(StateContract, QueueContract, ReportsContract, RecordsContract):
    """What the engine relies on.

    Override ``bench`` with an async generator fixture::

    class TestMyBackend(BackendContract):
        @pytest_asyncio.fixture
        async def bench(self, tmp_path):
            clock = ManualClock(NOW)
            async with my_backend(tmp_path, clock) as ports:
                yield Bench(ports, clock)
    """

    @pytest.fixture
    def bench(self) -> AsyncIterator[Bench]:
        """An empty backend at the moment NOW."""
        raise NotImplementedError("override the fixture `bench`")
