"""What became of a verdict's deliveries, read from the outbox."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from scanguard.engine.documents import OutboxItem, OutboxState
from scanguard.render.explain import DeliveryLine
from scanguard.render.text import ago, count

if TYPE_CHECKING:
    from scanguard.ports import Backend

_PAGE: Final = 100
_KINDS: Final = {"sink": "stored by", "notifier": "told by", "action": "action by"}


async def deliveries_of(backend: Backend, assessment: str) -> list[OutboxItem]:
    """Every delivery of an assessment that no later revision overtook; of an unreadable (newer) row nothing."""
    items: list[OutboxItem] = []
    after = ""
    while rows := await backend.state.page(OutboxItem.TABLE, assessment, after=after, limit=_PAGE):
        for row in rows:
            try:
                items.append(OutboxItem.model_validate(row.body))
            except ValidationError:
                continue
        after = rows[-1].key
    return sorted(
        (item for item in items if item.state is not OutboxState.OVERTAKEN),
        key=lambda item: (item.created_at, item.kind, item.instance),
    )


def delivery_line(item: OutboxItem, now: datetime) -> DeliveryLine:
    """A delivery in words."""
    destination = f"{_KINDS.get(item.kind, item.kind)} {item.instance}"
    if item.state is OutboxState.DONE:
        when = ago(item.delivered_at, now) if item.delivered_at else ""
        return DeliveryLine(destination, "delivered", ", ".join(part for part in (when, item.reference) if part))
    if item.state is OutboxState.DEAD:
        return DeliveryLine(
            destination, "failed", f"after {count(item.attempts, 'attempt')}: {item.error}", failed=True
        )
    tried = f"{count(item.attempts, 'attempt')} so far: {item.error}" if item.error else "not tried yet"
    return DeliveryLine(destination, "waiting", f"{tried}; `scanguard worker` goes on with it")
