"""Every call into a plugin goes through here: bounded in time, and whatever it raises becomes one of ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from scanguard.errors import PluginContractError, ScanguardError
from scanguard.telemetry.traces import current_traceparent, span

T = TypeVar("T")
CANCEL_GRACE_S = 1.0
"""How long a cancelled call may take to end before it is abandoned."""

log = logging.getLogger("scanguard.guard")


async def call_plugin(
    call: Coroutine[Any, Any, T],
    *,
    plugin: str,
    what: str,
    timeout_s: float,
    timeout_error: type[ScanguardError],
    returns: type[T] | tuple[type[Any], ...],
) -> T:
    """Await a plugin's coroutine.

    Args:
        call: The coroutine.
        plugin: Name of the instance, for errors.
        what: What it was asked to do, for errors, such as ``submit``.
        timeout_s: Seconds after which it is cancelled; one that ignores that is abandoned a second later.
        timeout_error: What a time-out is here.
        returns: The type, or types, the contract allows.

    Errors:
        Its own ScanguardError, ``timeout_error``, or PluginContractError for anything else it raises or returns.
        Cancellation passes.
    """
    called = _called(call, plugin=plugin, what=what, timeout_s=timeout_s, timeout_error=timeout_error, returns=returns)
    if not current_traceparent():  # work on nothing in particular, such as closing
        return await called
    with span(f"{plugin} {what}", attributes={"scanguard.call": what}, component=plugin):
        return await called


async def _called(
    call: Coroutine[Any, Any, T],
    *,
    plugin: str,
    what: str,
    timeout_s: float,
    timeout_error: type[ScanguardError],
    returns: type[T] | tuple[type[Any], ...],
) -> T:
    task = asyncio.ensure_future(call)
    try:
        done, _ = await asyncio.wait({task}, timeout=max(timeout_s, 0.0))
    except asyncio.CancelledError:
        await _abandon(task, plugin, what)
        raise
    if not done:
        await _abandon(task, plugin, what)
        raise timeout_error(f"{plugin} did not finish {what} within {timeout_s:.0f} s", plugin=plugin)
    if task.cancelled():
        raise PluginContractError(f"{plugin} cancelled itself during {what}", plugin=plugin)
    error = task.exception()
    if error is None:
        return _checked(task.result(), returns, plugin, what)
    if isinstance(error, ScanguardError):
        error.plugin = error.plugin or plugin
        raise error
    if not isinstance(error, Exception):
        raise error
    raise PluginContractError(
        f"{plugin} raised {type(error).__name__} during {what}; a plugin raises only scanguard's errors",
        plugin=plugin,
    ) from error


def _checked(result: T, returns: type[T] | tuple[type[Any], ...], plugin: str, what: str) -> T:
    if isinstance(result, returns):
        return result
    raise PluginContractError(f"{plugin} answered {what} with a {type(result).__name__}", plugin=plugin)


async def _abandon(task: asyncio.Future[Any], plugin: str, what: str) -> None:
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=CANCEL_GRACE_S)
    if not done:
        log.error("plugin ignores cancellation and is abandoned: plugin=%s call=%s", plugin, what)
        task.add_done_callback(lambda late: late.cancelled() or late.exception())
