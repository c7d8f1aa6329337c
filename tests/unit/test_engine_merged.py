"""Merged reports are made once, however many deployments of one image are judged at the same moment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from scanguard.backends import embedded
from scanguard.engine.engine import Engine
from scanguard.engine.reports import MergedReports
from scanguard.engine.worker import Worker
from scanguard.errors import BackendError
from scanguard.model.merged import MergedReport
from scanguard.ports import Outgoing
from scanguard.testing.memory import MemoryBackend
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigHost

NAME = "merged/sha256-0/0.json"
MERGED = MergedReport(digest=f"sha256:{'0' * 64}", findings=(), coverage={}, confirmed=True)


@pytest.fixture
def reports() -> MergedReports:
    return MergedReports(MemoryBackend().reports)  # which lets others run before it answers


@dataclass
class Maker:
    """Makes the report, and fails the first so many times."""

    failures: int = 0
    made: int = 0

    async def __call__(self) -> MergedReport:
        self.made += 1
        await asyncio.sleep(0.01)
        if self.made <= self.failures:
            raise BackendError("the store is away")
        return MERGED


async def test_of_many_who_ask_at_once_one_makes_it(reports: MergedReports) -> None:
    make = Maker()
    answers = await asyncio.gather(*(reports.get_or_make(NAME, make) for _ in range(8)))
    assert answers == [MERGED] * 8
    assert make.made == 1
    assert await reports.get(NAME) == MERGED


async def test_one_that_fails_takes_nobody_with_it(reports: MergedReports) -> None:
    make = Maker(failures=1)
    first, *others = await asyncio.gather(*(reports.get_or_make(NAME, make) for _ in range(4)), return_exceptions=True)
    assert isinstance(first, BackendError)
    assert others == [MERGED] * 3
    assert make.made == 2


async def test_one_that_is_cancelled_holds_nobody_up(reports: MergedReports) -> None:
    begun = asyncio.Event()

    async def never() -> MergedReport:
        begun.set()
        await asyncio.Event().wait()
        return MERGED

    first = asyncio.create_task(reports.get_or_make(NAME, never))
    await begun.wait()
    second = asyncio.create_task(reports.get_or_make(NAME, Maker()))
    first.cancel()
    assert await asyncio.wait_for(second, 5) == MERGED
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_deployments_of_one_image_that_are_judged_at_once_have_it_merged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig()
    rig.scanners["one"].findings = ("CVE-2024-1",)
    for number in range(8):
        rig.deploy(f"/{number}", "app:1")
        await rig.announce(f"/{number}")
    async with embedded(tmp_path) as backend:
        put: list[str] = []

        async def noted(name: str, data: bytes, real=backend.reports.put) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  # the port's
            put.append(name)
            await real(name, data)

        monkeypatch.setattr(backend.reports, "put", noted)
        await backend.queue.send([Outgoing(item.message) for item in rig.memory.queue.items])

        async def is_finished() -> bool:
            return len(rig.sink.deliveries) == 8

        await asyncio.wait_for(Worker(Engine(backend, RigHost(rig))).run(is_finished), 20)
    assert len([name for name in put if name.startswith("merged/")]) == 1
