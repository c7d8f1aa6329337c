"""One process: the HTTP service, a worker beside it, and an orderly end of both."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from scanguard.server.access import Access
from scanguard.server.app import build_app
from scanguard.server.health import Health
from scanguard.server.listener import listening

if TYPE_CHECKING:
    from scanguard.app import App
    from scanguard.settings.server import ServerSettings

WORKER_STOP_S: Final = 10.0
"""For the steps in hand to end when they are cancelled; a plugin has one second for that by its contract."""
CLOSE_S: Final = 20.0
"""For plugins and the store to close."""
STUCK_EXIT_CODE: Final = 70
_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
log = logging.getLogger("scanguard.server")


async def serve(app: App, settings: ServerSettings, *, work: bool, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; then stop accepting, finish requests in hand, and stop the worker.

    Args:
        app: Loaded and not open yet.
        settings: Where to listen, and limits.
        work: Whether to drive the queue here, too; otherwise ``scanguard worker`` does it elsewhere.
        announce: Told the URL once connections are taken.

    Errors:
        ConfigError, SecretError: it cannot start. BackendError, or whatever ends a worker: the service ends with it,
        because an orchestrator that restarts it is better than a service that accepts and never works.
    """
    with _signals() as (stop, has_begun_to_stop), _watchdog(has_begun_to_stop, settings.shutdown_s):
        async with app:
            access = await Access.open(settings, app.plugin_context("server"))
            try:
                await _serve(app, settings, access, stop, work=work, announce=announce)
            finally:
                await access.aclose()


async def _serve(
    app: App,
    settings: ServerSettings,
    access: Access,
    stop: asyncio.Event,
    *,
    work: bool,
    announce: Callable[[str], None],
) -> None:
    health = Health(app.backend)
    working = asyncio.create_task(app.work()) if work else None
    try:
        async with listening(build_app(app, settings, access, health=health), settings) as server:
            gc.freeze()  # what is loaded by now stays, and need not be looked through again and again
            announce(server.url)
            await _first(stop, working)
            health.is_stopping = True
        if working is not None and working.done():
            working.result()
    finally:
        if working is not None:
            working.cancel()
            _, stuck = await asyncio.wait({working}, timeout=WORKER_STOP_S)
            if stuck:
                log.error("the worker did not stop within %.0f s; its work comes again", WORKER_STOP_S)


async def _first(stop: asyncio.Event, working: asyncio.Task[None] | None) -> None:
    """Wait for a signal, or for a worker that ended by itself."""
    signalled = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({signalled, *([working] if working else [])}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        signalled.cancel()


@contextmanager
def _signals() -> Iterator[tuple[asyncio.Event, threading.Event]]:
    """Events that the first signal to stop sets; after it, the next one does what it always did."""
    loop = asyncio.get_running_loop()
    stop, has_begun = asyncio.Event(), threading.Event()

    def told_to_stop() -> None:
        forget()
        has_begun.set()
        stop.set()

    def forget() -> None:
        for number in _STOPPING:
            loop.remove_signal_handler(number)

    for number in _STOPPING:
        loop.add_signal_handler(number, told_to_stop)
    try:
        yield stop, has_begun
    finally:
        forget()


@contextmanager
def _watchdog(has_begun_to_stop: threading.Event, shutdown_s: float) -> Iterator[None]:
    """End the process when stopping takes longer than it may: a task that ignores its cancelling would hold it.

    Whatever was acknowledged is durable, so nothing is lost by that.
    """
    ended = threading.Event()
    limit = shutdown_s + WORKER_STOP_S + CLOSE_S

    def watch() -> None:
        has_begun_to_stop.wait()
        if not ended.wait(limit):
            log.error("did not stop within %.0f s: ending at once; accepted work is kept", limit)
            os._exit(STUCK_EXIT_CODE)

    threading.Thread(target=watch, name="scanguard-stop", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        has_begun_to_stop.set()
