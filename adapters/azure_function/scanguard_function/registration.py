"""Which functions there are: names, triggers and bindings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import azure.functions as func

from scanguard_function.configuration import CONNECTION
from scanguard_function.events import take_in
from scanguard_function.health import answer_health
from scanguard_function.process import Process

QUEUE_PREFIX: Final = "scanguard-"
LANES_VARIABLE: Final = "SCANGUARD_LANES"
LANES: Final = ("fresh", "bulk")
"""Lanes that functions serve: what needs disk, much CPU or many minutes waits for ``scanguard worker --lane heavy``."""
SCHEDULE_VARIABLE: Final = "SCANGUARD_SWEEP_SCHEDULE"
SCHEDULE: Final = "0 * * * * *"
"""Every minute, in six fields from seconds to weekday; overdue work waits that long at most."""


def register(app: func.FunctionApp, process: Process, environ: Mapping[str, str] = os.environ) -> None:
    """Register everything; only ``Health`` when the configuration cannot be used.

    Without triggers nothing is dequeued, and Event Grid's deliveries fail and come again.
    """
    app.register_functions(health_function(process))
    if process.app is None:
        return
    app.register_functions(event_function(process))
    for lane in environ.get(LANES_VARIABLE, ",".join(LANES)).split(","):
        app.register_functions(lane_functions(process, lane.strip()))
    app.register_functions(sweeps_function(process, environ.get(SCHEDULE_VARIABLE) or SCHEDULE))


def health_function(process: Process) -> func.Blueprint:
    """``Health``: open to probes, and silent about anything but whether the app works."""
    blueprint = func.Blueprint()

    @blueprint.function_name("Health")
    @blueprint.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
    async def health(req: func.HttpRequest) -> func.HttpResponse:
        return await answer_health(process)

    return blueprint


def event_function(process: Process) -> func.Blueprint:
    """``EventProcessor``: acknowledges an event once the host has put its message into the queue."""
    blueprint = func.Blueprint()

    @blueprint.function_name("EventProcessor")
    @blueprint.event_grid_trigger("event")
    @blueprint.queue_output("message", queue_name=queue_name("fresh"), connection=CONNECTION)
    async def event_processor(event: func.EventGridEvent, message: func.Out[str]) -> None:
        text = take_in(process.loaded, event)
        if text is not None:
            message.set(text)

    return blueprint


def lane_functions(process: Process, lane: str) -> func.Blueprint:
    """``FreshLane`` and ``FreshPoison``, or those of another lane."""
    blueprint = func.Blueprint()

    @blueprint.function_name(f"{lane.capitalize()}Lane")
    @blueprint.queue_trigger("message", queue_name=queue_name(lane), connection=CONNECTION)
    async def handle(message: func.QueueMessage) -> None:
        triggers = await process.triggers()
        await triggers.message(_text(message))

    @blueprint.function_name(f"{lane.capitalize()}Poison")
    @blueprint.queue_trigger("message", queue_name=f"{queue_name(lane)}-poison", connection=CONNECTION)
    @blueprint.queue_output("unreadable", queue_name=f"{QUEUE_PREFIX}unreadable", connection=CONNECTION)
    async def take_up(message: func.QueueMessage, unreadable: func.Out[str]) -> None:
        triggers = await process.triggers()
        if not await triggers.poison(_text(message)):
            unreadable.set(_text(message))

    return blueprint


def sweeps_function(process: Process, schedule: str) -> func.Blueprint:
    """``Sweeps``: only sends the message that starts what is due."""
    blueprint = func.Blueprint()

    @blueprint.function_name("Sweeps")
    @blueprint.timer_trigger("timer", schedule=schedule, run_on_startup=False, use_monitor=True)
    async def sweeps(timer: func.TimerRequest) -> None:
        triggers = await process.triggers()
        await triggers.tick()

    return blueprint


def queue_name(lane: str) -> str:
    """A lane's queue."""
    return f"{QUEUE_PREFIX}{lane}"


def _text(message: func.QueueMessage) -> str:
    return message.get_body().decode("utf-8", "replace")
