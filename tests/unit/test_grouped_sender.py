"""Many callers, one write: each is told what became of its own messages, and only of those."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from scanguard.app.grouped import MAX_MESSAGES, GroupedSender
from scanguard.errors import BackendError
from scanguard.ports import Message, MessageKind, Outgoing
from scanguard.testing.memory import MemoryBackend


def outgoing(*names: str) -> list[Outgoing]:
    return [Outgoing(Message(kind=MessageKind.ASSESS, id=name)) for name in names]


class Watched:
    """A queue in memory that notes each write, takes its time, and fails on some names."""

    def __init__(self, **failures: Exception) -> None:
        self._queue = MemoryBackend().backend().queue
        self._failures = failures
        self.writes: list[list[str]] = []
        self.may_go_on = asyncio.Event()

    async def send(self, messages: Sequence[Outgoing]) -> None:
        names = [one.message.id for one in messages]
        self.writes.append(names)
        await self.may_go_on.wait()
        for name in names:
            if name in self._failures:
                raise self._failures[name]
        await self._queue.send(messages)

    def __getattr__(self, name: str) -> object:
        return getattr(self._queue, name)


async def results(queue: Watched, *calls: list[Outgoing]) -> list[BaseException | None]:
    """Let the first call begin its write, the others come while it goes on, then all of them end."""
    sender = GroupedSender(queue)  # type: ignore[arg-type]  # the rest is delegated
    first = asyncio.create_task(sender.send(calls[0]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.create_task(sender.send(call)) for call in calls[1:]]
    await asyncio.sleep(0)
    queue.may_go_on.set()
    return await asyncio.gather(first, *others, return_exceptions=True)


async def test_what_comes_during_a_write_goes_together_into_the_next() -> None:
    queue = Watched()
    told = await results(queue, outgoing("a"), outgoing("b", "c"), outgoing("d"))

    assert told == [None, None, None]
    assert queue.writes == [["a"], ["b", "c", "d"]]


async def test_a_store_that_fails_is_told_to_everybody_who_waited_for_that_write() -> None:
    failure = BackendError("the disk is full")
    queue = Watched(b=failure)
    told = await results(queue, outgoing("a"), outgoing("b"), outgoing("c"))

    assert told == [None, failure, failure]
    assert queue.writes == [["a"], ["b", "c"]]


async def test_a_message_that_cannot_be_written_hurts_only_whoever_sent_it() -> None:
    failure = ValueError("no JSON")
    queue = Watched(b=failure)
    told = await results(queue, outgoing("a"), outgoing("b"), outgoing("c"))

    assert told == [None, failure, None]


async def test_a_caller_who_gives_up_takes_nobody_along() -> None:
    queue = Watched()
    sender = GroupedSender(queue)  # type: ignore[arg-type]  # the rest is delegated
    calls = [asyncio.create_task(sender.send(outgoing(name))) for name in ("a", "b", "c")]
    await asyncio.sleep(0)
    calls[1].cancel()
    await asyncio.sleep(0)
    queue.may_go_on.set()

    told = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(told[1], asyncio.CancelledError)
    assert (told[0], told[2]) == (None, None)
    await sender.send(outgoing("d"))
    assert queue.writes[-1] == ["d"]


async def test_a_write_has_a_bound_that_one_large_batch_may_pass() -> None:
    queue = Watched()
    large = [f"large-{number}" for number in range(MAX_MESSAGES + 1)]
    await results(queue, outgoing("a"), outgoing(*large), outgoing("b"))

    assert [len(write) for write in queue.writes] == [1, MAX_MESSAGES + 1, 1]


async def test_nothing_is_cut_off_by_closing() -> None:
    queue = Watched()
    sender = GroupedSender(queue)  # type: ignore[arg-type]  # the rest is delegated
    sending = asyncio.create_task(sender.send(outgoing("a")))
    await asyncio.sleep(0)
    closing = asyncio.create_task(sender.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    queue.may_go_on.set()
    await closing
    await asyncio.wait_for(sending, 1)


@pytest.mark.parametrize("count", [0, 1])
async def test_nothing_to_send_is_no_write(count: int) -> None:
    queue = Watched()
    queue.may_go_on.set()
    await GroupedSender(queue).send(outgoing(*["a"][:count]))  # type: ignore[arg-type]  # the rest is delegated

    assert len(queue.writes) == count
