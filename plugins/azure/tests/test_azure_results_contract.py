"""The sink ``azure_results`` keeps the contract of sinks, on a real Azurite."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from azurite import Azurite
from results_account import ResultsAccount

from scanguard.errors import SinkError
from scanguard.hooks import PluginContext
from scanguard.testing.answering import answering, unreachable_url
from scanguard.testing.contexts import make_context
from scanguard.testing.contracts import Broken, SinkContract
from scanguard.testing.contracts.probes import CANARY
from scanguard.testing.contracts.setting import CANARY_REFERENCE

pytestmark = pytest.mark.integration


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def lent(folder: Path, connection_string: str) -> PluginContext:
    """A context with a connection string that a canary is part of."""
    return make_context(folder, secrets={CANARY_REFERENCE: f"{connection_string}Canary={CANARY};"})


class TestAzureResultsContract(SinkContract):
    plugin = "scanguard_azure.plugin"
    name = "azure_results"

    @pytest.fixture
    def context(self, tmp_path: Path, account: ResultsAccount) -> PluginContext:
        return lent(tmp_path, account.connection_string)

    @pytest.fixture
    def config(self, account: ResultsAccount) -> Mapping[str, Any]:
        return account.options(connection_string=CANARY_REFERENCE)

    @pytest.fixture
    def hanging(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        return config

    @pytest.fixture
    def hanging_context(self, tmp_path: Path) -> Any:
        with answering(hangs=True) as url:
            port = port_of(url)
            yield lent(tmp_path, Azurite.through(port, port, port))

    @pytest.fixture
    def broken(self, config: Mapping[str, Any], account: ResultsAccount, tmp_path: Path) -> Sequence[Broken]:
        nowhere = port_of(unreachable_url())
        gone = lent(tmp_path, Azurite.through(nowhere, nowhere, nowhere))
        wrong = lent(tmp_path, account.connection_string.replace("AccountKey=E", "AccountKey=F"))
        garbage = lent(tmp_path, "no connection string;")
        return [
            Broken("not there", config, SinkError, context=gone),
            Broken("forbidden", config, SinkError, context=wrong),
            Broken("no connection string", config, SinkError, context=garbage),
            Broken("no container", {**config, "create": False, "container": "missing"}, SinkError),
        ]

    @pytest.fixture
    def stored(self, account: ResultsAccount) -> Callable[[], int]:
        def count() -> int:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # the test's own loop is running

            async def look() -> int:
                try:
                    return len(await account.blobs()) + len(await account.rows()) + len(await account.rows(recent=True))
                except Exception:  # nothing is made yet
                    return 0

            with ThreadPoolExecutor() as pool:
                return pool.submit(asyncio.run, look()).result()

        return count
