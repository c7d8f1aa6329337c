"""Opens the backend: the one that the configuration chooses, else the embedded one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, TypeVar

from scanguard.app.host import PluginHost
from scanguard.backends import embedded
from scanguard.errors import BackendError, PluginContractError, ScanguardError
from scanguard.ports import Backend
from scanguard.settings.bind import Bound, BoundBackend

OPEN_TIMEOUT_S: Final = 30.0
CLOSE_TIMEOUT_S: Final = 10.0
T = TypeVar("T")
log = logging.getLogger("scanguard.app")


@asynccontextmanager
async def opened_backend(bound: Bound, host: PluginHost, data_dir: Path) -> AsyncIterator[Backend]:
    """The five ports, until the block ends.

    Errors:
        ScanguardError: a plugin's backend cannot be opened; what it raises of its own is a PluginContractError.
    """
    if bound.backend is None:
        async with embedded(data_dir) as ports:
            yield ports
        return
    chosen = bound.backend
    manager, ports = await _opened(chosen, host)
    try:
        yield ports
    finally:
        await _closed(manager, chosen.spec.name)


async def _opened(chosen: BoundBackend, host: PluginHost) -> tuple[AbstractAsyncContextManager[Backend], Backend]:
    name = chosen.spec.name
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            manager = chosen.spec.open(chosen.config, host.context("backend", name))
            ports = await manager.__aenter__()
    except TimeoutError as exc:
        raise BackendError(f"the backend did not open within {OPEN_TIMEOUT_S:.0f} s", plugin=name) from exc
    except ScanguardError as exc:
        exc.plugin = exc.plugin or name
        raise
    except Exception as exc:
        raise PluginContractError(f"opening the backend raised {type(exc).__name__}", plugin=name) from exc
    if not isinstance(ports, Backend):
        await _closed(manager, name)
        raise PluginContractError(f"the backend opened as a {type(ports).__name__}", plugin=name)
    return manager, ports


async def _closed(manager: AbstractAsyncContextManager[Backend], name: str) -> None:
    """Close; everything is durable already, so what cannot be closed is said and left."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await manager.__aexit__(None, None, None)
    except Exception as exc:  # whatever it is, the work is done
        log.warning("could not close: kind=backend name=%s error=%s", name, type(exc).__name__)
