"""The ASGI application."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from scanguard.server.api import VerdictsApi
from scanguard.server.dead_letters import DeadLettersApi
from scanguard.server.door import Door, StoreLimit
from scanguard.server.events import EventsEndpoint
from scanguard.server.gate import Gate
from scanguard.server.health import Health
from scanguard.server.limits import RateLimits, Slots
from scanguard.server.problems import RequestRefusedError, internal_error

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from scanguard.app import App
    from scanguard.server.access import Access
    from scanguard.settings.server import ServerSettings

_KINDS = {404: "not-found", 405: "method"}


def build_app(app: App, settings: ServerSettings, access: Access, *, health: Health | None = None) -> ASGIApp:
    """The service as an ASGI application.

    Args:
        app: Open, and kept open by the caller for as long as requests are served.
        settings: Limits.
        access: Who may do what; closed by the caller.
        health: Answers the probes; given by a caller who wants to say that the service stops.
    """
    limits = RateLimits(settings.rate_per_s, settings.client_rate_per_s, time.monotonic)
    door = Door(access, limits, Slots(settings.max_concurrent), StoreLimit(settings.store_timeout_s))
    events = EventsEndpoint(app, settings, door)
    others = Starlette(
        routes=routes(app, events, door, health or Health(app.backend)),
        exception_handlers={RequestRefusedError: _refused, HTTPException: _not_routed, Exception: _failed},
    )
    others.router.redirect_slashes = False  # a redirect would repeat the query, and the key in it

    def inner(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # Deliveries come by the thousand and need no layer between: the gate answers for what the endpoint raises.
        is_delivery = scope["path"] == "/events" and scope["method"] == "POST"
        return events(scope, receive, send) if is_delivery else others(scope, receive, send)

    return Gate(inner, limits, max_header_bytes=settings.max_header_bytes, loopback_only=access.is_open)


def routes(app: App, events: EventsEndpoint, door: Door, health: Health) -> list[BaseRoute]:
    """Every route; :mod:`scanguard.server.openapi` describes them."""
    api = VerdictsApi(app, door)
    letters = DeadLettersApi(app, events.settings, door)
    return [
        Route("/events", events, methods=["POST"]),
        Route("/events", events.options, methods=["OPTIONS"]),
        Route("/healthz", health.live, methods=["GET"]),
        Route("/readyz", health.ready, methods=["GET"]),
        Route("/api/v1/verdicts", api.list_verdicts, methods=["GET"]),
        Route("/api/v1/verdicts/{id}", api.one_verdict, methods=["GET"]),
        Route("/api/v1/verdicts/{id}/explanation", api.explanation, methods=["GET"]),
        Route("/api/v1/dead-letters", letters.list_letters, methods=["GET"]),
        Route("/api/v1/dead-letters/replay", letters.replay, methods=["POST"]),
        Route("/api/v1/dead-letters/{id}", letters.one_letter, methods=["GET"]),
        Route("/api/v1/openapi.json", api.openapi, methods=["GET"]),
    ]


async def _refused(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, RequestRefusedError):
        raise exc
    return exc.response()


async def _failed(request: Request, exc: Exception) -> Response:
    return internal_error().response()


async def _not_routed(request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    text = "there is nothing here" if exc.status_code == 404 else f"{request.method} is not answered here"
    return RequestRefusedError(
        exc.status_code, _KINDS.get(exc.status_code, "refused"), text, headers=exc.headers
    ).response()
