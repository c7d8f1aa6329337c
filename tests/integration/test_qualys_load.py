"""A small edition of the load scenes: faults and killed workers, and a limit that only a few scans fit into."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from qualys_load import SCENES, Scene, play, table
from rich.console import Console

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def told(figures: object) -> str:
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(figures)
    return console.export_text()


async def test_faults_and_killed_workers_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    scene = Scene("faults", scans=60, latency_s=60, speed=12, fault_rate=0.2, workers=2, kills=2, for_s=1200)
    figures = await play(scene, tmp_path)
    assert figures.is_kept, told(table(figures))
    assert figures.finished == figures.asked == 60, told(table(figures))
    assert figures.kills == 2
    assert figures.refused == 0


async def test_a_small_quota_finishes_what_fits_and_keeps_the_rest(tmp_path: Path) -> None:
    scene = Scene("small quota", scans=60, latency_s=30, speed=12, limits=("60/10m",), for_s=900, deadline_s=240)
    figures = await play(scene, tmp_path)
    assert figures.is_kept, told(table(figures))
    assert 3 <= figures.finished < 60, told(table(figures))
    assert figures.unknown_waiting == 60 - figures.finished, "the rest is unknown, and none is lost"


def test_the_full_scenes_are_what_the_figures_are_taken_from() -> None:
    assert set(SCENES) == {"platform", "hourly", "faults"}
    assert all(scene.scans >= 1_000 for scene in SCENES.values())
