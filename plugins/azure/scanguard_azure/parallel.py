"""Several calls at the same time, but not too many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")


async def in_parallel(call: Callable[[Given], Awaitable[Result]], given: Iterable[Given], at_once: int) -> list[Result]:
    """Results in the order of what is given. The first error ends the other calls, and is raised as it is."""
    gate = asyncio.Semaphore(at_once)

    async def one(item: Given) -> Result:
        async with gate:
            return await call(item)

    tasks = []
    error: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in given]
    except BaseExceptionGroup as failed:
        error = failed.exceptions[0]
    if error is not None:
        raise error
    return [task.result() for task in tasks]
