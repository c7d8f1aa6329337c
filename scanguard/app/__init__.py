"""The application: what the command line, the server and function apps start."""

from __future__ import annotations

from scanguard.app.application import Accepted, App, AppOptions
from scanguard.engine.plan import Progress

__all__ = ["Accepted", "App", "AppOptions", "Progress"]
