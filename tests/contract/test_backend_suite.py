"""The suite of backends catches what it is there to catch: each seeded fault fails the clause it breaks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from scanguard.errors import ConflictError
from scanguard.ports import Backend
from scanguard.testing.contracts import BackendContract
from scanguard.testing.contracts.bench import NOW, Bench
from scanguard.testing.memory import ManualClock, MemoryBackend

Fault = Callable[[MemoryBackend], None]


def ignores_etags(memory: MemoryBackend) -> None:
    memory.state._check = lambda row: None  # type: ignore[method-assign]  # the fault


def inserts_over(memory: MemoryBackend) -> None:
    async def insert(row: Any) -> Any:
        return memory.state._write(row)

    memory.state.insert = insert  # type: ignore[method-assign]  # the fault


def forgets_a_row_that_is_overdue(memory: MemoryBackend) -> None:
    overdue = memory.state.overdue

    async def some(before: Any, *, limit: int = 100) -> Any:
        return (await overdue(before, limit=limit))[1:]

    memory.state.overdue = some  # type: ignore[method-assign]  # the fault


def pages_without_order(memory: MemoryBackend) -> None:
    page = memory.state.page

    async def backwards(*args: Any, **options: Any) -> Any:
        return [*(await page(*args, **options))][::-1]

    memory.state.page = backwards  # type: ignore[method-assign]  # the fault


def shows_messages_at_once(memory: MemoryBackend) -> None:
    send = memory.queue.send

    async def sent(messages: Any) -> None:
        await send([replace(out, not_before=None) for out in messages])

    memory.queue.send = sent  # type: ignore[method-assign]  # the fault


def lets_anybody_acknowledge(memory: MemoryBackend) -> None:
    async def ack(delivery: Any) -> None:
        memory.queue.items[:] = [one for one in memory.queue.items if one.message != delivery.message]

    memory.queue.ack = ack  # type: ignore[method-assign]  # the fault


def holds_nothing(memory: MemoryBackend) -> None:
    take = memory.queue._take

    def taken(item: Any, visibility_s: float) -> Any:
        return take(item, 0.0)

    memory.queue._take = taken  # type: ignore[method-assign]  # the fault


def loses_what_is_extended(memory: MemoryBackend) -> None:
    async def extend(delivery: Any, visibility_s: float) -> Any:
        return delivery

    memory.queue.extend = extend  # type: ignore[method-assign]  # the fault


def keeps_the_first_document(memory: MemoryBackend) -> None:
    async def put(name: str, data: bytes) -> None:
        memory.reports.documents.setdefault(name, data)

    memory.reports.put = put  # type: ignore[method-assign]  # the fault


def stores_a_document_in_pieces(memory: MemoryBackend) -> None:
    async def put(name: str, data: bytes) -> None:
        memory.reports.documents[name] = data[: len(data) // 2]
        await asyncio.sleep(0)
        memory.reports.documents[name] = data

    memory.reports.put = put  # type: ignore[method-assign]  # the fault


def lets_a_lower_revision_win(memory: MemoryBackend) -> None:
    async def save(verdict: Any) -> None:
        memory.records.verdicts[verdict.id] = verdict

    memory.records.save = save  # type: ignore[method-assign]  # the fault


def calls_what_is_hidden_ready(memory: MemoryBackend) -> None:
    depths = memory.queue.depths

    async def told() -> Any:
        return {lane: replace(one, ready_since=NOW + timedelta(days=1)) for lane, one in (await depths()).items()}

    memory.queue.depths = told  # type: ignore[method-assign]  # the fault


def raises_when_what_is_lost_is_acknowledged(memory: MemoryBackend) -> None:
    ack = memory.queue.ack

    async def strict(delivery: Any) -> None:
        if memory.queue._held(delivery) is None:
            raise ConflictError("lost")
        await ack(delivery)

    memory.queue.ack = strict  # type: ignore[method-assign]  # the fault


def forgets_the_body_on_release(memory: MemoryBackend) -> None:
    release = memory.queue.release

    async def emptied(delivery: Any, not_before: Any = None) -> None:
        for item in memory.queue.items:
            item.message = item.message.model_copy(update={"body": {}})
        await release(delivery, not_before)

    memory.queue.release = emptied  # type: ignore[method-assign]  # the fault


def keys_that_look_alike_meet(memory: MemoryBackend) -> None:
    get, insert = memory.state.get, memory.state.insert

    def one(partition: str, key: str) -> tuple[str, str]:
        return "", f"{partition}/{key}".lower()

    async def put(row: Any) -> Any:
        partition, key = one(row.partition, row.key)
        return await insert(replace(row, partition=partition, key=key))

    async def found(table: str, partition: str, key: str = "") -> Any:
        return await get(table, *one(partition, key))

    memory.state.insert = put  # type: ignore[method-assign]  # the fault
    memory.state.get = found  # type: ignore[method-assign]  # the fault


FAULTS: dict[Fault, str] = {
    ignores_etags: "replaced_only_at_the_version_read",
    inserts_over: "created_once",
    forgets_a_row_that_is_overdue: "overdue_rows",
    pages_without_order: "paged_in_key_order",
    shows_messages_at_once: "not_seen_before_its_time",
    lets_anybody_acknowledge: "hidden_while_held",
    holds_nothing: "only_the_messages_that_are_taken",
    loses_what_is_extended: "hidden_while_held",
    keeps_the_first_document: "stored_whole_and_replaced",
    stores_a_document_in_pieces: "cut_off",
    raises_when_what_is_lost_is_acknowledged: "hidden_while_held",
    forgets_the_body_on_release: "released_message_comes_again_untouched",
    keys_that_look_alike_meet: "look_alike",
    lets_a_lower_revision_win: "lower_revision",
    calls_what_is_hidden_ready: "depths",
}


def clauses() -> dict[str, Any]:
    return {name: one for name, one in inspect.getmembers(BackendContract) if name.startswith("test_")}


async def keeps(clause: Any, bench: Callable[[], Bench]) -> bool:
    """Whether a backend keeps a clause; one that is tried in steps must keep each."""
    takes_steps = "steps" in inspect.signature(clause).parameters
    for options in [{"steps": steps} for steps in (0, 1, 3)] if takes_steps else [{}]:
        try:
            await clause(BackendContract(), bench(), **options)
        except (AssertionError, ConflictError, pytest.fail.Exception, ValueError):
            return False
    return True


async def failing(
    fault: Fault | None, *, other: Callable[[MemoryBackend], Backend] = MemoryBackend.backend
) -> set[str]:
    """The clauses that a backend with this fault does not keep; ``other`` is how it is opened a second time."""

    def bench() -> Bench:
        memory = MemoryBackend(ManualClock(NOW))
        if fault is not None:
            fault(memory)
        return Bench(memory.backend(), memory.clock, lambda: nullcontext(other(memory)))

    return {name for name, clause in clauses().items() if not await keeps(clause, bench)}


async def test_a_good_backend_keeps_every_clause() -> None:
    assert await failing(None) == set()
    assert len(clauses()) >= 22


@pytest.mark.parametrize(("fault", "clause"), [pytest.param(*each, id=each[0].__name__) for each in FAULTS.items()])
async def test_a_bad_backend_is_caught(fault: Fault, clause: str) -> None:
    assert any(clause in name for name in await failing(fault))


@pytest.mark.parametrize(
    ("port", "clause"),
    [
        pytest.param("state", "old_for_the_other", id="state of its own"),
        pytest.param("queue", "hidden_from_the_other", id="a queue of its own"),
        pytest.param("reports", "one_handle_wrote", id="reports of its own"),
        pytest.param("records", "one_handle_wrote", id="records of its own"),
    ],
)
async def test_a_backend_that_keeps_something_to_its_process_is_caught(port: str, clause: str) -> None:
    def private(memory: MemoryBackend) -> Backend:
        own = MemoryBackend(memory.clock).backend()
        return replace(memory.backend(), **{port: getattr(own, port)})

    assert any(clause in name for name in await failing(None, other=private))


async def test_a_backend_that_cannot_be_opened_twice_is_skipped_visibly() -> None:
    memory = MemoryBackend(ManualClock(NOW))
    with pytest.raises(pytest.skip.Exception, match="override the fixture `reopen`"):
        await BackendContract().test_what_one_handle_wrote_another_reads(Bench(memory.backend(), memory.clock))
