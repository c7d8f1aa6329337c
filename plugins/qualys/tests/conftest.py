"""A simulated account, and scanners that ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from qualys_account import PLATFORM, ScannerOf, Simulate, context_for
from scanguard_qualys.config import QualysConfig
from scanguard_qualys.scanner import build_scanner
from scanguard_qualys.simulator import QualysSimulator, Scenario

from scanguard.hooks import Scanner


@pytest.fixture
async def simulate() -> AsyncIterator[Simulate]:
    """Starts simulators; unless told otherwise, results are there at once."""
    async with AsyncExitStack() as stack:

        async def start(**scenario: Any) -> QualysSimulator:
            return await stack.enter_async_context(QualysSimulator(Scenario(**{"latency_s": 0, **scenario})))

        yield start


@pytest.fixture
async def scanner_of(tmp_path: Path) -> AsyncIterator[ScannerOf]:
    """Builds scanners that ask a simulator, or any address."""
    async with AsyncExitStack() as stack:

        def build(at: QualysSimulator | str, **options: Any) -> Scanner:
            url, ca_file = (at, None) if isinstance(at, str) else (at.url, at.ca_file)
            config = QualysConfig.model_validate({**PLATFORM, "url": url, "poll_interval_s": 1, **options})
            scanner = build_scanner(config, context_for(tmp_path, ca_file))
            stack.push_async_callback(scanner.aclose)
            return scanner

        yield build
