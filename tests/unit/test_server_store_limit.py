"""A store that is slow holds nobody up for longer than its limit, and one request's lateness is nobody else's."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from serving import JSON, body, event, serving

from scanguard.backends import DATABASE_NAME
from scanguard.errors import BackendError
from scanguard.server.door import StoreLimit, StoreTime
from scanguard.server.problems import RequestRefusedError


async def work(limit: StoreLimit, seconds: float, *, after: float = 0.0) -> float:
    """Work with the store, begun after a moment; how long it took."""
    await asyncio.sleep(after)
    began = time.monotonic()
    async with StoreTime(limit):
        await asyncio.sleep(seconds)
    return time.monotonic() - began


async def test_a_locked_store_makes_the_sender_come_again_and_is_used_when_it_is_free(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path, store_timeout_s=0.3) as server:
        assert (await server.client.post("/events", content=body(event("a")), headers=JSON)).status_code == 200
        with closing(sqlite3.connect(tmp_path / "data" / DATABASE_NAME, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            sent = [server.client.post("/events", content=body(event(name)), headers=JSON) for name in "bcd"]
            answers = await asyncio.gather(*sent)
            took = time.monotonic() - began
            other.execute("ROLLBACK")

        assert {answer.status_code for answer in answers} == {503}
        assert {answer.json()["type"] for answer in answers} == {"urn:scanguard:problem:store-unavailable"}
        assert "took longer than 0.3 s" in caplog.text
        assert 0.3 <= took < 5
        assert (await server.client.post("/events", content=body(event("e")), headers=JSON)).status_code == 200
        assert {"a", "e"} <= set(await server.accepted())


async def test_each_has_its_own_time_though_one_timer_looks_after_all() -> None:
    limit = StoreLimit(0.3)
    quick, late, later, last = await asyncio.gather(
        work(limit, 0.01),
        work(limit, 9),
        work(limit, 9, after=0.2),
        work(limit, 0.2, after=0.25),
        return_exceptions=True,
    )
    assert isinstance(quick, float)
    assert isinstance(late, RequestRefusedError)
    assert isinstance(later, RequestRefusedError), "the timer goes on for those who began after the first"
    assert isinstance(last, float), "it was not late, though others were"
    with pytest.raises(RequestRefusedError):
        await asyncio.wait_for(work(limit, 9), 5)  # a timer is set again when there was nobody left


async def test_cancelling_by_somebody_else_stays_one() -> None:
    limit = StoreLimit(9)
    task = asyncio.create_task(work(limit, 9))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_store_that_fails_is_told_as_one(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RequestRefusedError) as told:
        async with StoreTime(StoreLimit(9)):
            raise BackendError("no such disk")
    assert told.value.response().status_code == 503
    assert "no such disk" in caplog.text
