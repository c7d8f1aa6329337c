"""One worker process: a configuration that works or a reason why not, and the application, opened when first needed.

All functions are ``async`` and run on the worker's one event loop, so they share clients and the store's connections.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scanguard.errors import ScanguardError
from scanguard_function.configuration import load_app, refuse_references, refuse_unknown_lanes
from scanguard_function.index import Index, stamped
from scanguard_function.telemetry import observe

if TYPE_CHECKING:
    from scanguard.app import App
    from scanguard.app.intake import Intake
    from scanguard.app.loading import LoadedApp
    from scanguard.app.triggers import Triggers
    from scanguard.loader import Plugins

FOLDER: Final = Path(__file__).resolve().parent.parent
CHATTY: Final = ("azure", "httpx", "httpcore", "urllib3")
"""Libraries that would log whole addresses and headers. The worker's own logger is below ``azure.functions``."""
OBSERVE_AFTER_S: Final = 1.0
log = logging.getLogger("scanguard.function")


@dataclass(slots=True)
class Process:
    """What functions share.

    Attributes:
        index: What the functions are made by; None when the configuration cannot be used.
        problems: Why not; safe to show.
    """

    index: Index | None
    problems: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    folder: Path = FOLDER
    _loaded: LoadedApp | None = None
    _intake: Intake | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _app: App | None = None
    _triggers: Triggers | None = None

    @classmethod
    def start(cls, environ: Mapping[str, str] | None = None, folder: Path = FOLDER) -> Process:
        """Load the configuration; never raises, because an import that fails makes all functions vanish."""
        environ = os.environ if environ is None else environ
        try:
            refuse_references(environ)
            refuse_unknown_lanes(environ)
            if index := stamped(folder, environ):
                return cls(index, environ=environ, folder=folder)
            with _collecting_later():
                loaded = load_app(environ, folder)
            observe(environ, loaded.plugins)
            return cls(Index.of(loaded.bound.settings), environ=environ, folder=folder, _loaded=loaded)
        except ScanguardError as exc:
            problems = (exc.message, *getattr(exc, "problems", ()))
        except Exception as exc:  # a broken installation is told, too
            log.exception("the application cannot be loaded")
            problems = (f"the application cannot be loaded: {type(exc).__name__}; the log has the details",)
        log.error("only Health is registered: %s", "; ".join(problems))
        return cls(None, problems, environ, folder)

    @property
    def intake(self) -> Intake:
        """Takes events in; where the configuration was stamped, without reading it. Only on the worker's loop."""
        if self._intake is None:
            with _collecting_later():
                self._intake = self._loaded.intake if self._loaded else self._stamped_intake()
            _quieten()
        return self._intake

    def _stamped_intake(self) -> Intake:
        from scanguard.app.intake import Intake  # noqa: PLC0415  # an index of functions needs none of it
        from scanguard.loader import load_plugins  # noqa: PLC0415  # as above

        if self.index is None:
            raise RuntimeError("nothing but Health is registered without a configuration")
        plugins = load_plugins(self.environ)
        self._observe_soon(plugins)
        return Intake(plugins, self.index.excluded, self.index.own_actors)

    def _observe_soon(self, plugins: Plugins) -> None:
        """Begin to send telemetry a moment later, beside the loop: to load an exporter takes longer than all the rest.

        What the first second's events would have told is not sent; their messages carry on the host's traces.
        """
        loop = asyncio.get_running_loop()
        loop.call_later(OBSERVE_AFTER_S, lambda: loop.run_in_executor(None, self._observe, plugins))

    def _observe(self, plugins: Plugins) -> None:
        """Send telemetry; what is wrong with its settings is said, and stands in nobody's way: triggers are there."""
        try:
            observe(self.environ, plugins)
        except ScanguardError as exc:
            log.error("there is no telemetry: %s", exc)

    @property
    def loaded(self) -> LoadedApp:
        """Configuration and plugins; one that was stamped is read when it is first needed."""
        if self._loaded is None:
            with _collecting_later():
                self._loaded = load_app(self.environ, self.folder, self._intake.plugins if self._intake else None)
            self._observe(self._loaded.plugins)
        return self._loaded

    @property
    def app(self) -> App:
        """The application, open or not; made when it is first needed."""
        if self._app is None:
            from scanguard.app import App  # noqa: PLC0415  # an index of functions needs none of it

            _quieten()
            self._app = App.of(self.loaded)
        return self._app

    async def opened(self) -> App:
        """The application, opened once; what fails here reaches the host, and the next invocation tries again."""
        await self.triggers()
        return self.app

    async def triggers(self) -> Triggers:
        """The engine's way in."""
        if self._triggers is None:
            async with self._opening:
                if self._triggers is None:
                    await self.app.__aenter__()
                    self._triggers = self.app.triggers()
        return self._triggers


@contextmanager
def _collecting_later() -> Iterator[None]:
    """Load without the garbage collector: nearly all that is made then stays, and it looks in vain again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.enable()


def _quieten() -> None:
    """No foreign library's requests in the log, and nothing secret in what the worker's handlers send on."""
    from scanguard.telemetry.records import SafeRecords  # noqa: PLC0415  # an import error there is Health's to tell

    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        if not any(isinstance(known, SafeRecords) for known in handler.filters):
            handler.addFilter(SafeRecords())
