"""Traces, metrics and events of a worker process: sent while it lives, where its settings ask for it."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scanguard.app import App

_observing: list[ExitStack] = []


def observe(app: App) -> None:
    """Begin, once in a process; what was not sent yet goes out when the process ends in order.

    Errors:
        ConfigError: a variable of the environment makes no sense.
    """
    if _observing:
        return
    stack = ExitStack()
    stack.enter_context(app.observed())
    _observing.append(stack)
    atexit.register(stack.close)
