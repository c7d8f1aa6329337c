"""Checks that hang, block or raise anything at all hold up nobody else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from scanguard.doctor.check import AREAS, Check, Status
from scanguard.doctor.crew import Crew, EndedError


async def quick() -> str:
    return "done"


async def test_each_work_has_a_thread_and_a_loop_of_its_own() -> None:
    async def where() -> tuple[int, int]:
        return threading.get_ident(), id(asyncio.get_running_loop())

    crew = Crew(5)
    here = (threading.get_ident(), id(asyncio.get_running_loop()))
    first, second = await asyncio.gather(crew.run(where, 1), crew.run(where, 1))
    assert len({first[0], here[0]}) == 2
    assert len({second[0], here[0]}) == 2
    assert crew.dismiss()


async def test_one_that_blocks_its_loop_is_left_behind_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanguard.doctor.crew.GRACE_S", 0.1)
    release = threading.Event()

    async def blocking() -> None:
        release.wait(30)

    crew = Crew(5)
    started = time.monotonic()
    blocked, done = await asyncio.gather(crew.run(blocking, 0.2), crew.run(quick, 2), return_exceptions=True)
    assert isinstance(blocked, TimeoutError)
    assert done == "done"
    assert time.monotonic() - started < 2
    assert not crew.dismiss(0.05)
    release.set()
    assert crew.dismiss(5)


async def test_one_that_ignores_its_cancellation_does_not_keep_its_answer_back() -> None:
    release = threading.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    async def leaving() -> str:
        leaving_behind.append(asyncio.ensure_future(stubborn()))
        return "done"

    leaving_behind: list[asyncio.Future[None]] = []
    crew = Crew(5)
    assert await crew.run(leaving, 2) == "done"
    assert not crew.dismiss(0.2)
    release.set()
    assert crew.dismiss(5)


def raising(error: BaseException) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        pytest.param(ValueError("x"), ValueError, id="ordinary"),
        pytest.param(SystemExit(3), EndedError, id="SystemExit"),
        pytest.param(KeyboardInterrupt(), EndedError, id="KeyboardInterrupt"),
        pytest.param(asyncio.CancelledError(), EndedError, id="CancelledError"),
    ],
)
async def test_whatever_is_raised_reaches_whoever_waits(error: BaseException, seen: type[Exception]) -> None:
    crew = Crew(5)
    with pytest.raises(seen):
        await crew.run(raising(error), 1)
    assert await crew.run(quick, 1) == "done"


async def test_when_the_whole_time_is_over_nothing_more_is_begun() -> None:
    begun: list[str] = []

    async def work() -> None:
        begun.append("begun")

    with pytest.raises(TimeoutError):
        await Crew(0).run(work, 10)
    assert begun == []


@pytest.mark.parametrize("status", [Status.WARN, Status.FAIL])
def test_trouble_without_a_remedy_cannot_be_said(status: Status) -> None:
    with pytest.raises(ValueError, match="remedy"):
        Check(AREAS[0], "x", status, "it is broken")
