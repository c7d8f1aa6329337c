"""What was inserted a moment ago is changed without being read again, and what somebody changed since is not lost."""

from __future__ import annotations

from datetime import datetime

import pytest

from scanguard.engine.documents import Head
from scanguard.engine.store import Store
from scanguard.ports import Row
from scanguard.testing.memory import Faults, MemoryState
from scanguard.testing.samples import NOW

HEAD = Head(resource="/a", assessment="first", seen_at=NOW)
Changed = tuple[Head, datetime | None]


class Counting(MemoryState):
    """Counts what is read."""

    reads = 0

    async def get(self, table: str, partition: str, key: str = "") -> Row | None:
        self.reads += 1
        return await super().get(table, partition, key)


@pytest.fixture
def state() -> Counting:
    return Counting(Faults())


def named(head: Head, name: str) -> Changed:
    return head.model_copy(update={"assessment": name}), None


async def test_what_was_just_inserted_is_changed_without_being_read(state: Counting) -> None:
    store = Store(state)
    await store.insert(HEAD, None)
    changed = await store.update(Head, *HEAD.address, lambda head: named(head, "second"))
    assert state.reads == 0
    assert changed is not None
    assert changed.document.assessment == "second"
    assert await store.get(Head, *HEAD.address) == changed


async def test_a_change_by_somebody_else_is_seen(state: Counting) -> None:
    store, other = Store(state), Store(state)
    await store.insert(HEAD, None)
    await other.update(Head, *HEAD.address, lambda head: named(head, "other"))
    seen: list[str] = []

    def change(head: Head) -> Changed:
        seen.append(head.assessment)
        return named(head, f"{head.assessment} and ours")

    changed = await store.update(Head, *HEAD.address, change)
    assert changed is not None
    assert changed.document.assessment == "other and ours"
    assert seen == ["first", "other"]


async def test_a_row_is_left_alone_only_for_what_it_is_now(state: Counting) -> None:
    store, other = Store(state), Store(state)
    await store.insert(HEAD, None)
    await other.update(Head, *HEAD.address, lambda head: named(head, "other"))
    changed = await store.update(
        Head, *HEAD.address, lambda head: None if head.assessment == "first" else named(head, "ours")
    )
    assert changed is not None
    assert changed.document.assessment == "ours"
    again = await store.update(Head, *HEAD.address, lambda _: None)
    assert again == changed


async def test_a_row_that_is_gone_is_missing(state: Counting) -> None:
    store = Store(state)
    stored = await store.insert(HEAD, None)
    await state.delete(stored.row)
    assert await store.update(Head, *HEAD.address, lambda head: named(head, "ours")) is None
