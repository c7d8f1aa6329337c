"""Advance one outbox item: a sink write or a notice. Each is retried, receipted or given up alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from scanguard.engine.context import EngineContext
from scanguard.engine.documents import OutboxItem, OutboxState
from scanguard.engine.guard import call_plugin
from scanguard.engine.messages import deliver_message
from scanguard.engine.plan import Progress
from scanguard.engine.store import Stored
from scanguard.errors import ActionError, BackendError, NotifyError, ScanguardError, SinkError
from scanguard.hooks import Notice
from scanguard.model.merged import MergedReport
from scanguard.model.verdict import Verdict
from scanguard.ports import Message, Outgoing, Receipt, RecordQuery
from scanguard.tokens import unique_token

_LEASE_SLACK_S = 30.0


class DeliverHandler:
    """Handles ``deliver`` messages."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._backend = context.backend
        self._store = context.store
        self._limits = context.limits

    async def handle(self, message: Message) -> list[Outgoing]:
        """Deliver the item the message names, unless that is done, not due, or in other hands."""
        assessment, _, item_id = message.id.partition("/")
        owner = unique_token()
        held = await self._acquire(assessment, item_id, owner)
        if held is None:
            return []
        item = held.document
        if item.state is OutboxState.DEAD:
            await self._context.dead.note(item)
        if item.state is not OutboxState.PENDING or item.lease != owner:
            return []
        found = await self._backend.records.query(RecordQuery(id=assessment, limit=1))
        if not found:
            raise BackendError(f"the verdict of {assessment} is missing from the store", target=assessment)
        if found[0].revision > item.revision:
            return await self._settle(held, owner, {"state": OutboxState.OVERTAKEN}, None)
        try:
            receipt = await self._send(item, found[0])
        except BackendError:
            raise
        except ScanguardError as exc:
            return await self._failed(held, owner, exc)
        self._told(item, "delivering", receipt.reference)
        delivered = {"state": OutboxState.DONE, "reference": receipt.reference, "delivered_at": receipt.delivered_at}
        return await self._settle(held, owner, {**delivered, "error": "", "error_kind": ""}, None)

    async def _acquire(self, assessment: str, item_id: str, owner: str) -> Stored[OutboxItem] | None:
        now = self._context.now()

        def change(item: OutboxItem) -> tuple[OutboxItem, datetime] | None:
            is_held = item.lease_until is not None and item.lease_until > now
            is_early = item.not_before is not None and item.not_before > now
            if item.state is not OutboxState.PENDING or is_held or is_early:
                return None
            until = now + timedelta(seconds=self._longest(item) + _LEASE_SLACK_S)
            return item.model_copy(update={"lease": owner, "lease_until": until}), until

        return await self._store.update(OutboxItem, assessment, item_id, change)

    def _longest(self, item: OutboxItem) -> float:
        """Seconds one delivery may take; a lease outlives that."""
        try:
            host = self._context.host
            return (host.sink if item.kind == "sink" else host.notifier)(item.instance).timeout_s
        except ScanguardError:
            return self._limits.lease_s

    async def _send(self, item: OutboxItem, verdict: Verdict) -> Receipt:
        if item.kind == "action":
            raise ActionError(f"no platform here carries out actions ({item.instance})", target=item.instance)
        host = self._context.host
        hosted = host.sink(item.instance) if item.kind == "sink" else host.notifier(item.instance)
        notice = Notice(key=item.id, verdict=verdict, reports=await self._reports(verdict))
        return await call_plugin(
            hosted.deliver(notice),
            plugin=item.instance,
            what="write" if item.kind == "sink" else "send",
            timeout_s=hosted.timeout_s,
            timeout_error=SinkError if item.kind == "sink" else NotifyError,
            returns=Receipt,
        )

    async def _reports(self, verdict: Verdict) -> dict[str, MergedReport]:
        names = sorted({image.merged for image in verdict.images if image.merged})
        found = {name: await self._context.merged.get(name) for name in names}
        return {name: merged for name, merged in found.items() if merged is not None}

    async def _failed(self, held: Stored[OutboxItem], owner: str, error: ScanguardError) -> list[Outgoing]:
        item = held.document
        now = self._context.now()
        attempts = item.attempts + 1
        noted = {"attempts": attempts, "error": error.message, "error_kind": type(error).__name__}
        self._told(item, "failed", error.message)
        if not error.is_retryable or attempts >= self._limits.delivery_attempts:
            return await self._settle(held, owner, {**noted, "state": OutboxState.DEAD}, None)
        at = self._limits.retry_at(now, attempts, error.retry_after_s)
        return await self._settle(held, owner, {**noted, "not_before": at}, at)

    def _told(self, item: OutboxItem, phase: str, detail: str) -> None:
        self._context.observe(Progress(item.assessment, "", item.instance, phase, detail, "delivery", about=item))

    async def _settle(
        self, held: Stored[OutboxItem], owner: str, update: dict[str, object], again: datetime | None
    ) -> list[Outgoing]:
        def change(current: OutboxItem) -> tuple[OutboxItem, datetime | None] | None:
            if current.lease != owner:
                return None
            settled = current.model_copy(update={**update, "lease": "", "lease_until": None})
            return settled, None if again is None else self._limits.rearm_at(again)

        item = held.document
        stored = await self._store.update(OutboxItem, *item.address, change, known=held)
        if stored is not None and stored.document.state is OutboxState.DEAD:
            await self._context.dead.note(stored.document)
        return [] if again is None else [Outgoing(deliver_message(item), again)]
