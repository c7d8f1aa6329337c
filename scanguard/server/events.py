"""``/events``: deliveries of Event Grid and other senders of CloudEvents, and their handshakes.

Event Grid sends a delivery again unless the answer is 200 to 204, or 400, 401, 403 or 413
(https://learn.microsoft.com/en-us/azure/event-grid/delivery-and-retry): those four are said only where sending
again is useless.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from scanguard.errors import EventError
from scanguard.server.body import check_type, read_body
from scanguard.server.problems import RequestRefusedError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from scanguard.app import Accepted, App
    from scanguard.server.door import Door
    from scanguard.settings.server import ServerSettings

MAX_SENTENCES: Final = 20
"""Most events of a batch told of one by one, in the answer and in the log."""
_HANDSHAKE: Final = "Microsoft.EventGrid.SubscriptionValidationEvent"
_HANDSHAKE_BYTES: Final = _HANDSHAKE.encode()
_MAX_HANDSHAKE_BYTES: Final = 64 * 1024
_MAX_CODE: Final = 512
log = logging.getLogger("scanguard.server.events")


@dataclass(frozen=True, slots=True)
class EventsEndpoint:
    """Takes events in."""

    app: App
    settings: ServerSettings
    door: Door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a POST: an ASGI application by itself, because what Starlette puts around an endpoint costs."""
        response = await self._post(Request(scope, receive))
        await response(scope, receive, send)

    async def _post(self, request: Request) -> Response:
        """Take a delivery in; 200 once what it holds is durable."""
        async with self.door.opened(request, "events") as caller:
            check_type(request)
            body = await read_body(request, self.settings.max_body_bytes, self.settings.body_timeout_s)
            code = validation_code(body)
            if code is not None:
                log.info("an Event Grid subscription was validated: caller=%s", caller.name)
                return JSONResponse({"validationResponse": code})
            return _answer(await self._accept(body))

    async def options(self, request: Request) -> Response:
        """Answer the CloudEvents handshake (https://github.com/cloudevents/spec/blob/v1.0/http-webhook.md).

        The callback address that a sender may name is never called: it could be any address.
        """
        if self.door.access.presents_any(request) or not self.door.access.takes_tokens:
            await self.door.access.require(request, "events")
        origin = request.headers.get("webhook-request-origin", "").strip().lower()
        headers = {"Allow": "OPTIONS, POST"}
        if origin and origin in {known.lower() for known in self.settings.webhook_origins}:
            per_minute = max(1, int(min(self.settings.rate_per_s, self.settings.client_rate_per_s) * 60))
            headers |= {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": str(per_minute)}
        elif origin:
            log.warning("the CloudEvents handshake was refused: origin=%r is not in server.webhook_origins", origin)
        return Response(status_code=200, headers=headers)

    async def _accept(self, body: bytes) -> Accepted:
        # What was written although it took too long is the same assessment when the event comes again.
        async with self.door.store():
            try:
                return await self.app.accept(body)
            except EventError as exc:
                raise RequestRefusedError(400, "unreadable", exc.message) from exc


def validation_code(body: bytes) -> str | None:
    """The code to answer, when a delivery is Event Grid's handshake; it stands alone in its list.

    Its ``validationUrl`` is never fetched: whoever sends the event chooses it.
    """
    if len(body) > _MAX_HANDSHAKE_BYTES or _HANDSHAKE_BYTES not in body:
        return None
    try:
        value: Any = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    event = value[0] if isinstance(value, list) and len(value) == 1 else value
    if not isinstance(event, dict) or event.get("eventType") != _HANDSHAKE:
        return None
    data = event.get("data")
    code = data.get("validationCode") if isinstance(data, dict) else None
    if not isinstance(code, str) or not 0 < len(code) <= _MAX_CODE:
        raise RequestRefusedError(400, "unreadable", "the subscription validation event holds no validationCode")
    return code


def _answer(accepted: Accepted) -> Response:
    for sentence in accepted.rejected[:MAX_SENTENCES]:
        log.warning("rejected: %s", sentence)
    for sentence in accepted.skipped[:MAX_SENTENCES]:
        log.info("skipped: %s", sentence)
    if accepted.rejected and not accepted.ids and not accepted.skipped:
        raise RequestRefusedError(400, "unreadable", "; ".join(accepted.rejected[:MAX_SENTENCES]))
    if accepted.rejected:
        log.warning("a delivery was taken in but for %d broken events", len(accepted.rejected))
    told = {
        "accepted": accepted.ids,
        "skipped": len(accepted.skipped),
        "rejected": len(accepted.rejected),
        "details": [*accepted.rejected, *accepted.skipped][:MAX_SENTENCES],
    }
    return _Told(to_json(told))


class _Told(Response):
    """The usual answer, whose headers need no thought."""

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        self.raw_headers = [
            (b"content-length", str(len(self.body)).encode()),
            (b"content-type", b"application/json"),
        ]
