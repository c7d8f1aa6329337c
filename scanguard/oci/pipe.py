"""Chunks from the event loop to work in a thread: bounded, stoppable, nothing left behind."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor
from typing import Any, Final, TypeVar

from scanguard.oci.content import closing
from scanguard.oci.limits import ReadingStopped, ReadMeter

_SLOTS: Final = 16
_PIECE_BYTES: Final = 1 << 16
_T = TypeVar("_T")


class _Pipe:
    """One writer on the event loop, one reader in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._free = asyncio.Semaphore(_SLOTS)
        self._is_stopped = False

    async def fill(self, chunks: AsyncIterator[bytes]) -> None:
        async with closing(chunks) as stream:
            async for chunk in stream:
                for start in range(0, len(chunk), _PIECE_BYTES):
                    await self._free.acquire()
                    self._chunks.put(chunk[start : start + _PIECE_BYTES])
        self._chunks.put(None)

    def stop(self) -> None:
        self._is_stopped = True
        self._chunks.put(None)

    def read(self) -> Iterator[bytes]:
        while (chunk := self._chunks.get()) is not None and not self._is_stopped:
            self._loop.call_soon_threadsafe(self._free.release)
            yield chunk
        if self._is_stopped:
            raise ReadingStopped


async def pump(
    pool: Executor, chunks: AsyncIterator[bytes], work: Callable[[Iterator[bytes]], _T], meter: ReadMeter
) -> _T:
    """Run ``work`` on the chunks in the pool's thread, while they come in.

    Ends when the work ends, or the source fails, or the meter's time is over, or the caller is cancelled; then
    source and thread are done too.

    Raises:
        ImageTooLargeError: The time is over.
        Exception: What the source or the work raises.
    """
    pipe = _Pipe()
    filling: asyncio.Future[Any] = asyncio.create_task(pipe.fill(chunks))
    working: asyncio.Future[Any] = asyncio.get_running_loop().run_in_executor(pool, work, pipe.read())
    try:
        await asyncio.wait((filling, working), timeout=meter.left_s, return_when=asyncio.FIRST_COMPLETED)
        if filling.done() and not working.done():
            filling.result()
            await asyncio.wait((working,), timeout=meter.left_s)
        if working.done():
            result: _T = working.result()
            return result
        meter.fail("max_seconds")
    finally:
        if not working.done():
            meter.stop()
            pipe.stop()
        filling.cancel()
        await _ended(filling, working)


async def compute(pool: Executor, work: Callable[[], _T], meter: ReadMeter) -> _T:
    """Run ``work``, which counts on the meter, in the pool's thread; a cancelled caller ends it."""
    working = asyncio.get_running_loop().run_in_executor(pool, work)
    try:
        await asyncio.wait({working})
        return working.result()
    finally:
        if not working.done():
            meter.stop()
        await _ended(working)


async def _ended(*tasks: asyncio.Future[Any]) -> None:
    """Wait for all; their errors are known already, or of no interest any more."""
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()
