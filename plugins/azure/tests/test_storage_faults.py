"""The way to the account fails: what was written counts once, is never denied, and never half there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta

import pytest
from azurite import Azurite, azurite
from fault_proxy import FaultProxy
from storage_rig import Account, proxied

from scanguard.errors import BackendError, ConflictError
from scanguard.ports import Backend, Lane, Message, MessageKind, Outgoing, RecordQuery, Row, SystemClock
from scanguard.testing.contracts.ports_records import sample_judgement

pytestmark = pytest.mark.integration
Proxies = tuple[str, Mapping[str, FaultProxy]]
"""A connection string by way of them, and each by its service."""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as where:
        yield where


@pytest.fixture
def account(emulator: Azurite) -> Account:
    return Account.new(emulator.connection_string, connect_timeout_s=1, read_timeout_s=2, retries=2)


@pytest.fixture
async def direct(account: Account) -> AsyncIterator[Backend]:
    """The same data by a way that works; everything that must be there is made."""
    async with account.open() as ports:
        await ports.queue.depths()
        await ports.state.insert(Row("t", "first", "", {}, SystemClock().now()))
        await ports.reports.put("first", b"")
        await ports.records.index("sha256:0", ["CVE-0"])
        yield ports


@pytest.fixture
async def proxies(emulator: Azurite) -> AsyncIterator[Proxies]:
    async with proxied(emulator) as found:
        yield found


@pytest.fixture
async def shaky(account: Account, proxies: Proxies, direct: Backend) -> AsyncIterator[Backend]:
    """The same data by way of the proxies."""
    async with account.by(proxies[0]).open() as ports:
        yield ports


async def texts(ports: Backend) -> list[str]:
    taken = await ports.queue.receive([Lane.FRESH], limit=32, visibility_s=30)
    for delivery in taken:
        await ports.queue.ack(delivery)
    return [one.message.id for one in taken if one.message]


@pytest.mark.parametrize("due", [None, timedelta(hours=1)], ids=["at rest", "due"])
async def test_a_row_whose_creation_was_not_answered_is_there_once_and_ours(
    shaky: Backend, direct: Backend, proxies: Proxies, due: timedelta | None
) -> None:
    table = proxies[1]["table"]
    table.swallow(b"State HTTP")
    written = await shaky.state.insert(Row("t", "p", "", {"n": 1}, None if due is None else SystemClock().now() + due))
    assert table.swallowed == 1
    assert await direct.state.get("t", "p") == written
    await shaky.state.replace(written.with_({"n": 2}, None))
    with pytest.raises(ConflictError):
        await shaky.state.insert(written)


async def test_a_swap_that_was_not_answered_is_no_conflict_with_ourselves(
    shaky: Backend, direct: Backend, proxies: Proxies
) -> None:
    first = await shaky.state.insert(Row("t", "p", "", {"n": 1}))
    proxies[1]["table"].swallow(b"PUT /")
    second = await shaky.state.replace(first.with_({"n": 2}, None))
    assert proxies[1]["table"].swallowed == 1
    assert await direct.state.get("t", "p") == second
    assert second.body == {"n": 2}


async def test_a_swap_that_lost_is_a_conflict_whatever_was_swallowed(
    shaky: Backend, direct: Backend, proxies: Proxies
) -> None:
    first = await shaky.state.insert(Row("t", "p", "", {"n": 1}))
    theirs = await direct.state.replace(first.with_({"n": 3}, None))
    proxies[1]["table"].swallow(b"PUT /")
    with pytest.raises(ConflictError):
        await shaky.state.replace(first.with_({"n": 2}, None))
    assert await direct.state.get("t", "p") == theirs


async def test_a_removal_that_was_not_answered_is_done(shaky: Backend, direct: Backend, proxies: Proxies) -> None:
    row = await shaky.state.insert(Row("t", "p", "", {}))
    proxies[1]["table"].swallow(b"DELETE /")
    await shaky.state.delete(row)
    assert proxies[1]["table"].swallowed == 1
    assert await direct.state.get("t", "p") is None


async def test_a_message_whose_sending_was_not_answered_is_never_lost_and_may_come_twice(
    shaky: Backend, direct: Backend, proxies: Proxies
) -> None:
    proxies[1]["queue"].swallow(b"POST /")
    await shaky.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x"))])
    assert proxies[1]["queue"].swallowed == 1
    assert set(await texts(direct)) == {"x"}
    assert await direct.queue.next_visible([Lane.FRESH]) is None


async def test_of_a_large_message_that_came_twice_each_is_read_or_dropped_and_none_stays(
    shaky: Backend, direct: Backend, proxies: Proxies
) -> None:
    large = Message(kind=MessageKind.INTAKE, id="large", body={"event": "x" * 100_000})
    proxies[1]["queue"].swallow(b"POST /")
    await shaky.queue.send([Outgoing(large)])
    (one,) = await direct.queue.receive([Lane.FRESH], limit=1, visibility_s=30)
    assert one.message == large
    await direct.queue.ack(one)
    assert await texts(direct) == []
    assert await direct.queue.next_visible([Lane.FRESH]) is None


async def test_an_acknowledgement_that_was_not_answered_is_none_twice(
    shaky: Backend, direct: Backend, proxies: Proxies
) -> None:
    await direct.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x"))])
    (held,) = await shaky.queue.receive([Lane.FRESH], limit=1, visibility_s=30)
    proxies[1]["queue"].swallow(b"DELETE /")
    await shaky.queue.ack(held)
    assert proxies[1]["queue"].swallowed == 1
    assert await direct.queue.next_visible([Lane.FRESH]) is None


async def test_messages_that_were_taken_without_an_answer_come_again(
    shaky: Backend, direct: Backend, proxies: Proxies
) -> None:
    await direct.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x"))])
    proxies[1]["queue"].swallow(b"GET /", times=50)
    with pytest.raises(BackendError, match="does not answer"):
        await shaky.queue.receive([Lane.FRESH], limit=1, visibility_s=1)
    proxies[1]["queue"].relent()
    await asyncio.sleep(1.2)
    assert await texts(direct) == ["x"]


async def test_documents_and_verdicts_whose_writing_was_not_answered_are_whole(
    shaky: Backend, direct: Backend, proxies: Proxies
) -> None:
    document = bytes(range(256)) * 2000
    proxies[1]["blob"].swallow(b"PUT /")
    proxies[1]["table"].swallow(b"Records HTTP")
    await shaky.reports.put("a/b.json", document)
    await shaky.records.save(sample_judgement("a", "/r", "app:1"))
    assert (proxies[1]["blob"].swallowed, proxies[1]["table"].swallowed) == (1, 1)
    assert await direct.reports.get("a/b.json") == document
    assert [one.id for one in await direct.records.query(RecordQuery(resource="/r"))] == ["a"]


async def test_connections_that_were_reset_are_made_anew(shaky: Backend, proxies: Proxies) -> None:
    await shaky.state.get("t", "p")
    for proxy in proxies[1].values():
        proxy.cut()
    await shaky.state.insert(Row("t", "p", "", {}))
    await shaky.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x"))])
    assert await shaky.queue.next_visible([Lane.FRESH]) is not None


async def test_a_refusal_that_ends_soon_is_waited_for(shaky: Backend, proxies: Proxies) -> None:
    table = proxies[1]["table"]
    await table.refuse()
    writing = asyncio.create_task(shaky.state.insert(Row("t", "p", "", {"n": 1})))
    await asyncio.sleep(0.3)
    await table.accept()
    assert (await writing).body == {"n": 1}


async def test_one_that_does_not_end_is_told_in_time_with_what_to_look_at(
    account: Account, proxies: Proxies, direct: Backend
) -> None:
    impatient = Account(proxies[0], account.config.model_copy(update={"retries": 0}))
    for proxy in proxies[1].values():
        await proxy.refuse()
    async with asyncio.timeout(10), impatient.open() as ports:
        for call in (
            ports.state.get("t", "p"),
            ports.state.insert(Row("t", "p", "", {})),
            ports.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x"))]),
            ports.reports.put("a", b""),
            ports.records.query(RecordQuery()),
        ):
            with pytest.raises(BackendError, match=r"does not answer .*DNS") as told:
                await call
            assert told.value.is_retryable
            assert not isinstance(told.value, ConflictError)
