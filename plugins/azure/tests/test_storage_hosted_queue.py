"""Messages that the Functions host takes from the queue by itself: small ones, large ones, early ones, twins."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta

import pytest
from azure.storage.queue.aio import QueueServiceClient
from azurite import Azurite, azurite
from storage_rig import Account

from scanguard.ports import Arrival, Backend, HostedQueue, Lane, Message, MessageKind, Outgoing

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with azurite(tmp_path_factory.mktemp("azurite")) as where:
        yield where


async def taken(account: Account, emulator: Azurite) -> str:
    """The text that the host would hand to a trigger."""
    async with QueueServiceClient.from_connection_string(emulator.connection_string) as service:
        queue = service.get_queue_client(account.config.queue(Lane.FRESH))
        (message,) = [one async for one in queue.receive_messages(max_messages=1)]
        await queue.delete_message(message)
        return base64.b64decode(message.content).decode()


def hosted(backend: Backend) -> HostedQueue:
    assert isinstance(backend.queue, HostedQueue)
    return backend.queue


async def test_a_small_message_is_its_text(emulator: Azurite) -> None:
    account = Account.new(emulator.connection_string)
    message = Message(kind=MessageKind.SCAN, id="x")
    async with account.open() as backend:
        await backend.queue.send([Outgoing(message)])
        text = await taken(account, emulator)
        assert await hosted(backend).arrived(text) == Arrival(message)
        assert await hosted(backend).arrived(message.model_dump_json()) == Arrival(message)
        await hosted(backend).handled(text)
        for garbage in ("", "{", "[]", '{"kind":"scan"}'):
            assert await hosted(backend).arrived(garbage) == Arrival(None)


async def test_a_large_message_is_whole_until_it_was_handled(emulator: Azurite) -> None:
    account = Account.new(emulator.connection_string)
    message = Message(kind=MessageKind.SWEEP, id="job:x", body={"cursor": "x" * 100_000})
    async with account.open() as backend:
        await backend.queue.send([Outgoing(message)])
        text = await taken(account, emulator)
        assert len(text) < 1000
        for _ in range(2):
            assert await hosted(backend).arrived(text) == Arrival(message)
        await hosted(backend).handled(text)
        await hosted(backend).handled(text)
        assert await hosted(backend).arrived(text) == Arrival(None, is_void=True)


async def test_a_message_wanted_later_than_a_queue_hides_it_says_so(emulator: Azurite) -> None:
    account = Account.new(emulator.connection_string)
    async with account.open() as backend:
        at = backend.clock.now() + timedelta(days=30)
        message = Message(kind=MessageKind.SCAN, id="x")
        text = message.model_dump_json()[:-1] + f',"not_before":"{at.isoformat()}"}}'
        assert await hosted(backend).arrived(text) == Arrival(message, not_before=at)
