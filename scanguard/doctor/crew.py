"""Runs checks side by side, each in a thread and an event loop of its own, each for a bounded time.

A plugin may block its loop, ignore cancellation, or wait for a file system that never answers. In a thread of its own
it holds up nobody else, and what it leaves behind is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

T = TypeVar("T")
GRACE_S: Final = 1.0
"""For a cancelled check to end by itself before it is left behind."""
MOST_AT_ONCE: Final = 16


class EndedError(Exception):
    """A check ended in something that is no ordinary exception, such as SystemExit; the text names its kind only."""


class Crew:
    """Threads that were started for checks, all of them within one span of time.

    Args:
        overall_s: Seconds from now after which nothing is waited for any more.
    """

    def __init__(self, overall_s: float) -> None:
        self._ends_at = time.monotonic() + overall_s
        self._gate = asyncio.Semaphore(MOST_AT_ONCE)
        self._threads: list[threading.Thread] = []

    async def run(self, work: Callable[[], Awaitable[T]], timeout_s: float) -> T:
        """Do the work in a thread and return what it returns; what it raises is raised here.

        Errors:
            TimeoutError: not done within ``timeout_s``, or within what is left of the whole time.
        """
        async with self._gate:
            budget = min(timeout_s, self._ends_at - time.monotonic())
            if budget <= 0:
                raise TimeoutError
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[T] = loop.create_future()
            thread = threading.Thread(
                target=_carry_out, args=(work, budget, loop, answer), name="scanguard-doctor", daemon=True
            )
            self._threads.append(thread)
            thread.start()
            done, _ = await asyncio.wait({answer}, timeout=budget + GRACE_S)
            if not done:
                answer.cancel()
                raise TimeoutError
            return answer.result()

    def dismiss(self, grace_s: float = GRACE_S) -> bool:
        """Wait a moment for threads to clean up; False when some did not end."""
        ends_at = time.monotonic() + grace_s
        for thread in self._threads:
            thread.join(max(ends_at - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)


def _carry_out(
    work: Callable[[], Awaitable[T]], budget: float, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[T]
) -> None:
    def tell(result: T | None, error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # nobody waits any more: their loop is closed
            loop.call_soon_threadsafe(_settle, answer, result, error)

    async def bounded() -> None:
        # Told before the loop is wound up, which a task that ignores its cancellation can hold up for ever.
        try:
            async with asyncio.timeout(budget):
                result = await work()
        except BaseException as exc:  # whatever a plugin raises, SystemExit too, whoever waits must hear of it
            tell(None, exc)
        else:
            tell(result, None)

    with contextlib.suppress(Exception):  # what matters was told; this is only winding up
        asyncio.run(bounded())


def _settle(answer: asyncio.Future[T], result: T | None, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)  # type: ignore[arg-type]  # without an error there is a result, None included
    elif isinstance(error, StopIteration) or not isinstance(error, Exception):
        answer.set_exception(EndedError(f"it raised {type(error).__name__}"))  # a future takes no such thing
    else:
        answer.set_exception(error)
