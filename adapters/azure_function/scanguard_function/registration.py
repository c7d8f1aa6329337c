"""Which functions there are: names, triggers and bindings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import azure.functions as func

from scanguard_function.answers import problem
from scanguard_function.configuration import CONNECTION, lanes
from scanguard_function.events import take_in
from scanguard_function.health import answer_health
from scanguard_function.index import SCHEDULE_VARIABLE
from scanguard_function.process import Process
from scanguard_function.telemetry import continued
from scanguard_function.web import Web

SCHEDULE: Final = "0 * * * * *"
"""Every minute, in six fields from seconds to weekday; overdue work waits that long at most."""


def register(app: func.FunctionApp, process: Process, environ: Mapping[str, str] = os.environ) -> None:
    """Register everything; only ``Health`` when the configuration cannot be used.

    Without triggers nothing is dequeued, and Event Grid's deliveries fail and come again.
    """
    app.register_functions(health_function(process))
    if process.index is None:
        return
    prefix = process.index.queue_prefix
    app.register_functions(event_function(process, prefix))
    for lane in lanes(environ):
        app.register_functions(lane_functions(process, lane, prefix))
    app.register_functions(sweeps_function(process, environ.get(SCHEDULE_VARIABLE) or SCHEDULE))
    if process.index.serves_http:
        app.register_functions(service_functions(Web(process)))
    app.register_functions(approvals_function())


def health_function(process: Process) -> func.Blueprint:
    """``Health``: open to probes, and silent about anything but whether the app works."""
    blueprint = _blueprint()

    @blueprint.function_name("Health")
    @blueprint.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    async def health(req: func.HttpRequest) -> func.HttpResponse:
        return await answer_health(process)

    return blueprint


def event_function(process: Process, prefix: str) -> func.Blueprint:
    """``EventProcessor``: acknowledges an event once the host has put its message into the queue."""
    blueprint = _blueprint()

    @blueprint.function_name("EventProcessor")
    @blueprint.event_grid_trigger("event")
    @blueprint.queue_output("message", queue_name=f"{prefix}fresh", connection=CONNECTION)
    async def event_processor(event: func.EventGridEvent, message: func.Out[str], context: func.Context) -> None:
        intake = process.intake
        with continued(context):
            text = take_in(intake, event)
        if text is not None:
            message.set(text)

    return blueprint


def lane_functions(process: Process, lane: str, prefix: str) -> func.Blueprint:
    """``FreshLane`` and ``FreshPoison``, or those of another lane."""
    blueprint = _blueprint()

    @blueprint.function_name(f"{lane.capitalize()}Lane")
    @blueprint.queue_trigger("message", queue_name=f"{prefix}{lane}", connection=CONNECTION)
    async def handle(message: func.QueueMessage, context: func.Context) -> None:
        triggers = await process.triggers()
        with continued(context):
            await triggers.message(_text(message), deliveries=message.dequeue_count or 1)

    @blueprint.function_name(f"{lane.capitalize()}Poison")
    @blueprint.queue_trigger("message", queue_name=f"{prefix}{lane}-poison", connection=CONNECTION)
    @blueprint.queue_output("unreadable", queue_name=f"{prefix}unreadable", connection=CONNECTION)
    async def take_up(message: func.QueueMessage, unreadable: func.Out[str]) -> None:
        triggers = await process.triggers()
        if not await triggers.poison(_text(message)):
            unreadable.set(_text(message))

    return blueprint


def sweeps_function(process: Process, schedule: str) -> func.Blueprint:
    """``Sweeps``: only sends the message that starts what is due."""
    blueprint = _blueprint()

    @blueprint.function_name("Sweeps")
    @blueprint.timer_trigger("timer", schedule=schedule, run_on_startup=False, use_monitor=True)
    async def sweeps(timer: func.TimerRequest) -> None:
        triggers = await process.triggers()
        await triggers.tick()

    return blueprint


def service_functions(web: Web) -> func.Blueprint:
    """``Events``, ``Reports`` and ``Replay``; not registered where nobody would have to show anything."""
    blueprint = _blueprint()

    @blueprint.function_name("Events")
    @blueprint.route("events", methods=["POST", "OPTIONS"], auth_level=func.AuthLevel.ANONYMOUS)
    async def events(req: func.HttpRequest) -> func.HttpResponse:
        return await web.answer(req, "/events")

    @blueprint.function_name("Reports")
    @blueprint.route("reports/{id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    async def reports(req: func.HttpRequest) -> func.HttpResponse:
        return await web.answer(req, f"/api/v1/verdicts/{req.route_params['id']}/explanation")

    @blueprint.function_name("Replay")
    @blueprint.route("replay", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
    async def replay(req: func.HttpRequest) -> func.HttpResponse:
        return await web.answer(req, "/api/v1/dead-letters/replay")

    return blueprint


def approvals_function() -> func.Blueprint:
    """``Approvals``: the address that answers to approval requests will be sent to."""
    blueprint = _blueprint()

    @blueprint.function_name("Approvals")
    @blueprint.route("approvals/{id}", methods=["GET", "POST"], auth_level=func.AuthLevel.FUNCTION)
    async def approvals(req: func.HttpRequest) -> func.HttpResponse:
        return problem(501, "not-implemented", "approvals are not part of this version; this address is kept for them")

    return blueprint


def _blueprint() -> func.Blueprint:
    return func.Blueprint()  # type: ignore[no-untyped-call]  # the library's


def _text(message: func.QueueMessage) -> str:
    return message.get_body().decode("utf-8", "replace")
