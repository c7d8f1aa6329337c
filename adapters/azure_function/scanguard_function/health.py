"""Whether this app works: for the platform's probes and for whoever looks why nothing happens."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from scanguard.errors import ScanguardError
from scanguard_function.answers import answer
from scanguard_function.configuration import unresolved_references

if TYPE_CHECKING:
    import azure.functions as func

    from scanguard_function.process import Process

TIMEOUT_S: Final = 5.0
log = logging.getLogger("scanguard.function.health")


async def answer_health(process: Process) -> func.HttpResponse:
    """200 while the configuration can be used and the store answers; else 503, and why."""
    if process.index is None:
        return answer(503, {"status": "misconfigured", "problems": process.problems})
    from scanguard.ports import Lane  # noqa: PLC0415  # there is an application: it is loaded

    try:
        async with asyncio.timeout(TIMEOUT_S):
            app = await process.opened()
            await app.backend.queue.next_visible(tuple(Lane))
    except (ScanguardError, TimeoutError) as exc:
        log.warning("not ready: %s", str(exc) or "the store takes too long")
        return answer(503, {"status": "not ready", "problems": ["the store does not answer; the log says why"]})
    unresolved = sorted(unresolved_references(process.environ))
    return answer(200, {"status": "ready", **({"unresolved_key_vault_references": unresolved} if unresolved else {})})
