"""What a ticket remembers: the image, when it was asked for, and how far the scan has come."""

from __future__ import annotations

from datetime import datetime

from pydantic import JsonValue

from scanguard.hooks import ScanRequest, Ticket
from scanguard.model.image import ResolvedImage


def ticket_value(request: ScanRequest, now: datetime, **more: JsonValue) -> dict[str, JsonValue]:
    """The value of a scan's first ticket."""
    return {"image": request.image.model_dump(mode="json"), "asked_at": now.isoformat(), **more}


def image_in(ticket: Ticket) -> ResolvedImage:
    """The image asked for."""
    return ResolvedImage.model_validate(ticket.value["image"])


def moment_in(ticket: Ticket) -> datetime:
    """When it was asked for."""
    return datetime.fromisoformat(str(ticket.value["asked_at"]))
