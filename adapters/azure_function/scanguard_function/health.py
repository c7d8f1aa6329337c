"""Whether this app works: for the platform's probes and for whoever looks why nothing happens."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, Final

import azure.functions as func

from scanguard.errors import ScanguardError

if TYPE_CHECKING:
    from scanguard_function.process import Process

TIMEOUT_S: Final = 5.0
log = logging.getLogger("scanguard.function.health")


async def answer_health(process: Process) -> func.HttpResponse:
    """200 while the configuration can be used and the store answers; else 503, and why."""
    if process.app is None:
        return _answer(503, {"status": "misconfigured", "problem": process.problem})
    from scanguard.ports import Lane  # noqa: PLC0415  # there is an application: it is loaded

    try:
        async with asyncio.timeout(TIMEOUT_S):
            app = await process.opened()
            await app.backend.queue.next_visible(tuple(Lane))
    except (ScanguardError, TimeoutError) as exc:
        log.warning("not ready: %s", str(exc) or "the store takes too long")
        return _answer(503, {"status": "not ready", "problem": "the store does not answer"})
    return _answer(200, {"status": "ready"})


def _answer(status: int, document: dict[str, Any]) -> func.HttpResponse:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    return func.HttpResponse(json.dumps(document), status_code=status, mimetype="application/json", headers=headers)
