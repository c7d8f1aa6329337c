"""The application: what the command line, the server and function apps start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scanguard.app.application import App
    from scanguard.app.intake import Accepted
    from scanguard.app.loading import AppOptions
    from scanguard.engine.plan import Progress

_HOMES = {
    "Accepted": "scanguard.app.intake",
    "App": "scanguard.app.application",
    "AppOptions": "scanguard.app.loading",
    "Progress": "scanguard.engine.plan",
}

__all__ = ["Accepted", "App", "AppOptions", "Progress"]


def __getattr__(name: str) -> object:
    """Load what is asked for: a function app starts with the options alone."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  # only when something is asked for

    return getattr(import_module(_HOMES[name]), name)
