"""One message's way: what follows at once is done in one go, and what is not for here or now is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from scanguard.engine.driver import MOST_AT_ONCE, MOST_STEPS, advance, advance_far
from scanguard.engine.limits import EngineLimits
from scanguard.errors import BackendError
from scanguard.ports import Lane, Message, MessageKind, Outgoing
from scanguard.testing.samples import NOW


def step(id: str, *, kind: MessageKind = MessageKind.ASSESS, lane: Lane = Lane.FRESH) -> Message:
    return Message(kind=kind, id=id, lane=lane)


class Bench:
    """An engine that follows a script: what follows from each message, by its id; an error is raised."""

    def __init__(self, script: Mapping[str, Sequence[Outgoing] | BackendError]) -> None:
        self._script = script
        self.handled: list[str] = []
        self.sent: list[Outgoing] = []
        queue = SimpleNamespace(send=self._send)
        self.context: Any = SimpleNamespace(
            backend=SimpleNamespace(queue=queue), now=lambda: NOW, limits=EngineLimits()
        )

    async def handle(self, message: Message, *, again: bool = False) -> list[Outgoing]:
        self.handled.append(message.id)
        follows = self._script.get(message.id, ())
        if isinstance(follows, BackendError):
            raise follows
        return [*follows]

    async def _send(self, messages: Sequence[Outgoing]) -> None:
        self.sent += messages

    @property
    def sent_ids(self) -> list[str]:
        return [one.message.id for one in self.sent]


async def test_a_chain_is_done_in_one_go() -> None:
    bench = Bench({"a": [Outgoing(step("b"))], "b": [Outgoing(step("c")), Outgoing(step("d"))]})
    await advance_far(bench, step("a"))  # type: ignore[arg-type]  # follows a script
    assert bench.handled == ["a", "b", "c", "d"]
    assert bench.sent == []


async def test_without_leave_only_the_message_itself_is_done() -> None:
    bench = Bench({"a": [Outgoing(step("b"))]})
    await advance(bench, step("a"))  # type: ignore[arg-type]  # follows a script
    assert (bench.handled, bench.sent_ids) == (["a"], ["b"])


async def test_what_has_to_wait_and_what_is_another_lanes_is_sent() -> None:
    later = Outgoing(step("later"), NOW + timedelta(seconds=1))
    heavy = Outgoing(step("heavy", lane=Lane.HEAVY))
    due = Outgoing(step("due"), NOW)
    bench = Bench({"a": [later, heavy, due]})
    await advance_far(bench, step("a"))  # type: ignore[arg-type]  # follows a script
    assert bench.handled == ["a", "due"]
    assert bench.sent == [later, heavy]


async def test_many_get_a_message_each() -> None:
    many = [Outgoing(step(f"n{number}")) for number in range(MOST_AT_ONCE + 1)]
    bench = Bench({"a": many})
    await advance_far(bench, step("a"))  # type: ignore[arg-type]  # follows a script
    assert bench.handled == ["a"]
    assert bench.sent == many


async def test_a_chain_without_end_ends() -> None:
    bench = Bench({"a": [Outgoing(step("a"))]})
    await advance_far(bench, step("a"))  # type: ignore[arg-type]  # follows a script
    assert len(bench.handled) == MOST_STEPS + 1
    assert bench.sent_ids == ["a"]


async def test_pages_of_a_periodic_job_are_done_one_by_one() -> None:
    bench = Bench({"job": [Outgoing(step("job", kind=MessageKind.SWEEP))]})
    await advance_far(bench, step("job", kind=MessageKind.SWEEP))  # type: ignore[arg-type]  # follows a script
    assert (bench.handled, bench.sent_ids) == (["job"], ["job"])


async def test_a_step_that_fails_comes_again_by_itself_after_a_pause() -> None:
    failed = BackendError("the table is away")
    bench = Bench({"a": [Outgoing(step("b")), Outgoing(step("c"))], "b": failed, "c": [Outgoing(step("d"))]})
    await advance_far(bench, step("a"))  # type: ignore[arg-type]  # follows a script
    assert sorted(bench.handled) == ["a", "b", "c", "d"]
    (again,) = bench.sent
    assert again.message.id == "b"
    assert again.not_before is not None
    assert again.not_before > NOW


async def test_the_first_step_that_fails_is_the_hosts_to_give_again() -> None:
    bench = Bench({"a": BackendError("the table is away")})
    with pytest.raises(BackendError, match="the table is away"):
        await advance_far(bench, step("a"))  # type: ignore[arg-type]  # follows a script
    assert bench.sent == []
