"""The queue in Queue Storage: one queue for each lane; messages never expire, and only acknowledging removes one.

Every touch of a held message changes its pop receipt. A delivery keeps the receipt it came with; the current one is
remembered here, by the handle that received it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from scanguard import Arrival, BackendError, Clock, ConflictError, Delivery, Lane, Outgoing, QueueDepth
from scanguard.tokens import unique_token
from scanguard_azure import storage_messages as messages
from scanguard_azure.storage_blobs import StorageBlobs
from scanguard_azure.storage_clients import StorageClients
from scanguard_azure.storage_errors import code_of, status_of
from scanguard_azure.storage_idle import IdleLooks
from scanguard_azure.storage_messages import Wire

if TYPE_CHECKING:
    from azure.storage.queue import QueueMessage
    from azure.storage.queue.aio import QueueClient

MAX_TAKEN: Final = 32
"""Most messages of one request."""
MAX_REMEMBERED: Final = 10_000
"""Held messages whose current receipt is remembered."""
AT_ONCE: Final = 16
UNKNOWN_WAIT: Final = timedelta(seconds=1)
"""When a hidden message becomes visible, a queue does not tell: it may be as soon as this."""
_LOST: Final = frozenset({"MessageNotFound", "PopReceiptMismatch", "InvalidQueryParameterValue"})
log = logging.getLogger("scanguard.azure.queue")


class StorageQueue:
    """:class:`~scanguard.ports.Queue` in one queue for each lane."""

    def __init__(self, clients: StorageClients, clock: Clock, spilled: StorageBlobs) -> None:
        self._clients = clients
        self._clock = clock
        self._spilled = spilled
        self._receipts: OrderedDict[str, str] = OrderedDict()
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._looks = IdleLooks()

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Make messages durable; after an error, possibly some are, and some twice."""
        await asyncio.gather(*(self._send(out) for out in messages))
        self._looks.expect()

    async def _send(self, out: Outgoing) -> None:
        now = self._clock.now()
        text = messages.text_of(out.message, out.not_before, now)
        async with self._gate:
            if len(text.encode()) > messages.MAX_BYTES:
                blob = f"{unique_token()}.json"
                await self._spilled.put(blob, messages.body_of(out.message))
                text = messages.text_of(out.message, out.not_before, now, blob=blob)
            hidden = messages.hidden_s(out.not_before, now)
            sent = messages.in_base64(text)
            await self._clients.queue(
                out.message.lane, lambda queue: queue.send_message(sent, visibility_timeout=hidden, time_to_live=-1)
            )

    async def receive(self, lanes: Sequence[Lane], *, limit: int, visibility_s: float) -> Sequence[Delivery]:
        """Take visible messages, earlier lanes first; one whose time has not come is hidden again."""
        taken: list[Delivery] = []
        if not self._looks.may_look(self._clock.now()):
            return taken
        hidden = _whole(visibility_s)
        for lane in lanes:
            while len(taken) < limit:
                wanted = min(MAX_TAKEN, limit - len(taken))
                found = await self._clients.queue(lane, lambda queue, n=wanted: _page(queue, n, hidden))  # type: ignore[misc]  # bound at once
                read = await asyncio.gather(*(self._delivery(lane, message) for message in found))
                taken += [delivery for delivery in read if delivery is not None]
                if len(found) < wanted:
                    break
        self._looks.saw(len(taken), self._clock.now())
        return taken

    async def _delivery(self, lane: Lane, message: QueueMessage) -> Delivery | None:
        wire = messages.read_base64(message.content)
        receipt = f"{lane.value}/{message.id}/{message.pop_receipt}"
        self._remember(receipt, str(message.pop_receipt))
        delivery = Delivery(wire.message, receipt, wire.raw, int(message.dequeue_count or 1))
        if wire.wait_s(self._clock.now()):
            await self.release(delivery, wire.not_before)
            return None
        return await self._whole(delivery, wire) if wire.blob else delivery

    async def _whole(self, delivery: Delivery, wire: Wire) -> Delivery | None:
        """With the body from its blob, which is removed only after the message, or its twin, was acknowledged."""
        data = await self._spilled.get(wire.blob)
        if data is not None:
            return replace(delivery, message=wire.with_body(data).message)
        log.warning("a message whose body is gone is dropped: its twin was handled: %.200s", wire.raw)
        await self.ack(delivery)
        return None

    async def extend(self, delivery: Delivery, visibility_s: float) -> Delivery:
        """Hold for longer, or ConflictError when the message was lost to somebody else."""
        if not await self._touch(delivery, _whole(visibility_s)):
            raise ConflictError("the message was taken by somebody else", target=delivery.receipt)
        return delivery

    async def ack(self, delivery: Delivery) -> None:
        """Remove, if still held."""
        lane, id, receipt = self._current(delivery)
        is_removed = await self._held(lane, lambda queue: queue.delete_message(id, receipt))
        self._receipts.pop(delivery.receipt, None)
        blob = messages.read_text(delivery.raw).blob
        if is_removed is not _LOST and blob:
            await self._spilled.delete(blob)

    async def release(self, delivery: Delivery, not_before: datetime | None = None) -> None:
        """Give back, if still held."""
        now = self._clock.now()
        content = None
        if not_before is not None and (not_before - now).total_seconds() > messages.MAX_HIDDEN_S:
            content = self._later(delivery, not_before, now)
        await self._touch(delivery, messages.hidden_s(not_before, now), content)
        self._receipts.pop(delivery.receipt, None)

    def _later(self, delivery: Delivery, not_before: datetime, now: datetime) -> str | None:
        """The text again, with a time that a queue cannot keep by itself."""
        wire = messages.read_text(delivery.raw)
        if wire.message is None:
            return None
        return messages.in_base64(messages.text_of(wire.message, not_before, now, blob=wire.blob))

    async def next_visible(self, lanes: Sequence[Lane]) -> datetime | None:
        """Now when one is visible; a moment away when all are hidden, for the queue does not tell until when."""
        now = self._clock.now()
        found = await asyncio.gather(*(self._clients.queue(lane, _state) for lane in lanes))
        if "visible" in found:
            return now
        return now + UNKNOWN_WAIT if "hidden" in found else None

    async def depths(self) -> Mapping[Lane, QueueDepth]:
        """How full every lane is, approximately; since when a message could be taken, the queue does not tell."""
        counts = await asyncio.gather(*(self._clients.queue(lane, _count) for lane in Lane))
        return {lane: QueueDepth(count) for lane, count in zip(Lane, counts, strict=True)}

    # --- a host receives and acknowledges -------------------------------------------------------------------

    async def arrived(self, text: str) -> Arrival:
        """A message that the Functions host took by itself; its body is read from its blob, if it has one."""
        wire = messages.read_text(text)
        message = wire.message
        if message is not None and wire.blob:
            data = await self._spilled.get(wire.blob)
            if data is None:
                return Arrival(None, is_void=True)
            message = wire.with_body(data).message
        return Arrival(message, wire.not_before if wire.wait_s(self._clock.now()) else None)

    async def handled(self, text: str) -> None:
        """The host acknowledges now: the body's blob goes."""
        blob = messages.read_text(text).blob
        if blob:
            await self._spilled.delete(blob)

    # --- held messages ------------------------------------------------------------------------------------

    def _remember(self, receipt: str, current: str) -> None:
        self._receipts[receipt] = current
        if len(self._receipts) > MAX_REMEMBERED:
            self._receipts.popitem(last=False)

    def _current(self, delivery: Delivery) -> tuple[Lane, str, str]:
        lane, id, first = delivery.receipt.split("/", 2)
        return Lane(lane), id, self._receipts.get(delivery.receipt, first)

    async def _touch(self, delivery: Delivery, hidden: int, content: str | None = None) -> bool:
        """Change for how long it is hidden; False when it was lost."""
        lane, id, receipt = self._current(delivery)
        updated = await self._held(
            lane, lambda queue: queue.update_message(id, receipt, visibility_timeout=hidden, content=content)
        )
        if updated is _LOST:
            return False
        self._remember(delivery.receipt, str(updated.pop_receipt))
        return True

    async def _held(self, lane: Lane, call: Callable[[QueueClient], Awaitable[Any]]) -> Any:  # noqa: ANN401  # the call's answer
        """The answer; ``_LOST`` when the message is not ours any more."""
        try:
            return await self._clients.queue(lane, call)
        except BackendError as exc:
            if status_of(exc.__cause__) in (400, 404) and code_of(exc.__cause__) in _LOST:
                return _LOST
            raise


async def _page(queue: QueueClient, number: int, hidden: int) -> list[QueueMessage]:
    """One request; the library's own iterator goes on asking until a queue is empty."""
    pages = queue.receive_messages(messages_per_page=number, visibility_timeout=hidden).by_page()
    try:
        return [message async for message in await anext(pages)]
    except StopAsyncIteration:
        return []


async def _count(queue: QueueClient) -> int:
    """Never lower than the truth, says its documentation; it may be higher for a while."""
    count = (await queue.get_queue_properties()).approximate_message_count
    if count is None:
        raise ValueError("an answer without a count, which is not the service's")
    return int(count)


async def _state(queue: QueueClient) -> str:
    if not await _count(queue):
        return "empty"
    return "visible" if await queue.peek_messages(max_messages=1) else "hidden"


def _whole(seconds: float) -> int:
    return min(messages.MAX_HIDDEN_S, max(1, math.ceil(seconds)))
