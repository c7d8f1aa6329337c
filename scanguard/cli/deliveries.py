"""What became of a verdict's deliveries, in words."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from scanguard.engine.documents import OutboxItem, OutboxState
from scanguard.render.explain import DeliveryLine
from scanguard.render.text import ago, count

_KINDS: Final = {"sink": "stored by", "notifier": "told by", "action": "action by"}


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
