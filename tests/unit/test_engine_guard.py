"""A plugin that raises, hangs, ignores cancellation or answers garbage is contained and named."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from scanguard.engine.guard import call_plugin
from scanguard.errors import PluginContractError, ScannerAuthError, ScanTimeoutError


def call(coroutine: Any, *, timeout_s: float = 5.0) -> Any:
    return call_plugin(
        coroutine,
        plugin="acme",
        what="submit",
        timeout_s=timeout_s,
        timeout_error=ScanTimeoutError,
        returns=(str, type(None)),
    )


async def answers(value: object) -> object:
    return value


async def raises(error: BaseException) -> None:
    raise error


async def hangs() -> None:
    await asyncio.Event().wait()


async def ignores_cancellation() -> None:
    end = time.monotonic() + 3
    while time.monotonic() < end:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue


async def test_an_answer_of_the_right_type_comes_through() -> None:
    assert await call(answers("x")) == "x"
    assert await call(answers(None)) is None


async def test_an_answer_of_another_type_is_a_broken_contract() -> None:
    with pytest.raises(PluginContractError, match="acme answered submit with a dict") as caught:
        await call(answers({}))
    assert caught.value.plugin == "acme"


async def test_its_own_errors_pass_with_its_name_and_any_other_is_a_broken_contract() -> None:
    with pytest.raises(ScannerAuthError) as own:
        await call(raises(ScannerAuthError("no")))
    assert own.value.plugin == "acme"
    with pytest.raises(PluginContractError, match="acme raised ValueError during submit") as foreign:
        await call(raises(ValueError("hunter2")))
    assert "hunter2" not in str(foreign.value)


async def test_a_call_that_never_returns_ends_with_its_deadline() -> None:
    started = time.monotonic()
    with pytest.raises(ScanTimeoutError, match="acme did not finish submit within 0 s"):
        await call(hangs(), timeout_s=0.1)
    assert time.monotonic() - started < 1


async def test_a_call_that_ignores_cancellation_is_abandoned() -> None:
    started = time.monotonic()
    with pytest.raises(ScanTimeoutError):
        await call(ignores_cancellation(), timeout_s=0.1)
    assert time.monotonic() - started < 2
    await asyncio.sleep(2.5)  # let it end, so that no task is left behind


async def test_cancelling_the_engine_cancels_the_plugin() -> None:
    ended = asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(call(waits()))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_plugin_that_cancels_itself_does_not_cancel_the_engine() -> None:
    with pytest.raises(PluginContractError, match="cancelled itself"):
        await call(raises(asyncio.CancelledError()))
