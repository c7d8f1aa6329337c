"""One real Azurite for all tests that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from azurite import azurite
from results_account import ResultsAccount


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its connection string."""
    with azurite(tmp_path_factory.mktemp("azurite")) as running:
        yield running.connection_string


@pytest.fixture
def account(storage: str) -> ResultsAccount:
    """A place for results that nobody else uses."""
    return ResultsAccount(storage)
