"""Traces, metrics and events of a worker process: sent while it lives, where its settings ask for it."""

from __future__ import annotations

import atexit
import threading
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import azure.functions as func

    from scanguard.loader import Plugins

_observing: list[ExitStack] = []
_beginning = threading.Lock()
"""The first event begins it from a thread, and a message that comes meanwhile from the loop."""


def observe(environ: Mapping[str, str], plugins: Plugins) -> None:
    """Begin, once in a process; what was not sent yet goes out when the process ends in order.

    Errors:
        ConfigError: a variable of the environment makes no sense.
    """
    from scanguard.telemetry.observing import observing  # noqa: PLC0415  # an index of functions needs none of it

    with _beginning:
        if _observing:
            return
        stack = ExitStack()
        stack.enter_context(observing(environ, plugins.catalog.observers.values()))
        _observing.append(stack)
        atexit.register(stack.close)


def continued(context: func.Context) -> AbstractContextManager[None]:
    """Everything inside belongs to the trace that the host began for an invocation."""
    from scanguard.telemetry.traces import continuing  # noqa: PLC0415  # an index of functions needs none of it

    trace = context.trace_context
    return continuing(trace.trace_parent or "", trace.trace_state or "")
