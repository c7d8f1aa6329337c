"""From an event, as the Functions library gives it, to the text of the one message that takes it in."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any

from scanguard.errors import EventError
from scanguard.telemetry.traces import span

if TYPE_CHECKING:
    import azure.functions as func

    from scanguard.app.intake import Intake

log = logging.getLogger("scanguard.function.events")


def take_in(intake: Intake, event: func.EventGridEvent) -> str | None:
    """The message's text; None for an event that says nothing of a deployment.

    Errors:
        EventError: the event is broken. It reaches the host and so Event Grid, which tries again and then keeps the
        event in its dead-letter container: a later version may read it.
    """
    with span("accept events", "server", component="intake") as working:
        messages, accepted = intake.messages(json.dumps(document(event)).encode())
        working.set(accepted.attributes)
    accepted.count()
    for sentence in accepted.skipped:
        log.info("skipped: %s", sentence)
    if accepted.rejected:
        raise EventError("; ".join(accepted.rejected))
    return messages[0].model_dump_json() if messages else None


def document(event: Any) -> dict[str, Any]:  # noqa: ANN401  # EventGridEvent, or CloudEvent whatever is annotated
    """The event as it was sent: the library takes both schemas apart."""
    if hasattr(event, "specversion"):
        return _without_none(
            specversion=event.specversion,
            id=event.id,
            source=event.source,
            type=event.type,
            subject=event.subject,
            time=_instant(event.time),
            data=event.get_json(),
        )
    return _without_none(
        id=event.id,
        topic=event.topic,
        subject=event.subject,
        eventType=event.event_type,
        eventTime=_instant(event.event_time),
        data=event.get_json(),
    )


def _instant(moment: object) -> str | None:
    return moment.isoformat() if isinstance(moment, datetime) else None


def _without_none(**fields: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    return {name: value for name, value in fields.items() if value is not None}
