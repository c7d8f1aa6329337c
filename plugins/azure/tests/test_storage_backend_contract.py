"""The backend keeps the contract of the ports, on a real Azurite whose time is the contract's own clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from azurite import Azurite
from storage_rig import Account, SharedClock, azurite_by

from scanguard.ports import Backend
from scanguard.testing.contracts import BackendContract
from scanguard.testing.contracts.bench import Reopen

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def time_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clock") / "now"
    SharedClock(file)
    return file


@pytest.fixture(scope="module")
def emulator(time_file: Path) -> Iterator[Azurite]:
    with azurite_by(time_file, time_file.parent) as where:
        yield where


class TestStorageContract(BackendContract):
    plugin = "scanguard_azure.plugin"
    name = "azure_storage"

    @pytest.fixture
    def clock(self, time_file: Path) -> SharedClock:
        return SharedClock(time_file)

    @pytest.fixture
    def account(self, emulator: Azurite) -> Account:
        return Account.new(emulator.connection_string)

    @pytest_asyncio.fixture
    async def backend(self, account: Account, clock: SharedClock) -> AsyncIterator[Backend]:  # type: ignore[override]  # a fixture
        async with account.open(clock) as ports:
            yield ports

    @pytest.fixture
    def reopen(self, account: Account, clock: SharedClock) -> Reopen:
        return lambda: account.open(clock)
