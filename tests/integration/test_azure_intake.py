"""The function app acknowledges events about as fast as a handler that does nothing but that one enqueue."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from workspace import ROOT

sys.path.append(str(ROOT / "benchmarks"))

from azure_intake import LEAST, measure  # the folder of benchmarks is no package

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


async def test_events_are_acknowledged_at_four_fifths_of_the_rate_of_a_bare_enqueue(tmp_path: Path) -> None:
    ratios = []
    for number in range(2):  # once more where something else was at work on this machine
        folder = tmp_path / str(number)
        folder.mkdir()
        ratios.append((await measure(folder, rounds=5, events=100, at_once=8)).ratio)
        if ratios[-1] >= LEAST:
            return
    pytest.fail(f"of a bare enqueue's rate: {ratios}")
