"""One worker process: a configuration that works or a reason why not, and the application, opened when first needed.

All functions are ``async`` and run on the worker's one event loop, so they share clients and the store's connections.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scanguard.errors import ScanguardError
from scanguard_function.configuration import load_app
from scanguard_function.telemetry import observe

if TYPE_CHECKING:
    from scanguard.app import App
    from scanguard.app.triggers import Triggers

FOLDER: Final = Path(__file__).resolve().parent.parent
CHATTY: Final = ("azure", "httpx", "httpcore", "urllib3")
"""Libraries that would log whole addresses and headers. The worker's own logger is below ``azure.functions``."""
log = logging.getLogger("scanguard.function")


@dataclass(slots=True)
class Process:
    """What functions share.

    Attributes:
        app: Loaded; None when the configuration cannot be used.
        problems: Why not; safe to show.
    """

    app: App | None
    problems: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _triggers: Triggers | None = None

    @classmethod
    def start(cls, environ: Mapping[str, str] | None = None, folder: Path = FOLDER) -> Process:
        """Load the configuration; never raises, because an import that fails makes all functions vanish."""
        environ = os.environ if environ is None else environ
        _quieten()
        try:
            app = load_app(environ, folder)
            observe(app)
            return cls(app, environ=environ)
        except ScanguardError as exc:
            problems = (exc.message, *getattr(exc, "problems", ()))
        except Exception as exc:  # a broken installation is told, too
            log.exception("the application cannot be loaded")
            problems = (f"the application cannot be loaded: {type(exc).__name__}; the log has the details",)
        log.error("only Health is registered: %s", "; ".join(problems))
        return cls(None, problems, environ)

    @property
    def loaded(self) -> App:
        """The application, open or not."""
        if self.app is None:
            raise RuntimeError("nothing but Health is registered without an application")
        return self.app

    async def opened(self) -> App:
        """The application, opened once; what fails here reaches the host, and the next invocation tries again."""
        await self.triggers()
        return self.loaded

    async def triggers(self) -> Triggers:
        """The engine's way in."""
        if self._triggers is None:
            async with self._opening:
                if self._triggers is None:
                    await self.loaded.__aenter__()
                    self._triggers = self.loaded.triggers()
        return self._triggers


def _quieten() -> None:
    """No foreign library's requests in the log, and nothing secret in what the worker's handlers send on."""
    from scanguard.telemetry.records import SafeRecords  # noqa: PLC0415  # an import error there is Health's to tell

    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        if not any(isinstance(known, SafeRecords) for known in handler.filters):
            handler.addFilter(SafeRecords())
