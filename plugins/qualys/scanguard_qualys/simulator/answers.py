"""Answers as the vendor words them, and as they go wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus

from scanguard.testing.server import Answer
from scanguard_qualys.simulator.scenario import Fault, FaultKind
from scanguard_qualys.simulator.simulation import Refusal

_JSON = {"Content-Type": "application/json"}


def json_answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """A JSON body."""
    return Answer(status, json.dumps(body).encode(), {**_JSON, **(headers or {})})


def error(status: int, message: str, headers: dict[str, str] | None = None) -> Answer:
    """``{"errorCode": "403 FORBIDDEN", "message": …, "timestamp": …}``."""
    code = f"{status} {HTTPStatus(status).name}"
    return json_answer({"errorCode": code, "message": message, "timestamp": int(time.time() * 1000)}, status, headers)


def throttled(refusal: Refusal, real_wait_s: float) -> Answer:
    """A used-up limit, in the words of its family; waits are told in real seconds."""
    rate = refusal.limit.rate
    wait = str(max(1, round(real_wait_s + 0.5)))
    headers = {
        "X-RateLimit-Limit": str(rate.requests),
        "X-RateLimit-Window-Sec": f"{rate.window_s:g}",
        "X-RateLimit-Remaining": "0",
    }
    if refusal.limit.style == "classic":
        return error(409, "This API cannot be run again yet", {**headers, "X-RateLimit-ToWait-Sec": wait})
    return error(429, "Too Many Requests", {**headers, "Retry-After": wait})


def broken(fault: Fault, proper: Answer, real_delay_s: float) -> Answer:
    """A proper answer, gone wrong."""
    error_body = {"errorCode": "500 INTERNAL_SERVER_ERROR", "message": "Simulated failure", "timestamp": 0}
    made: dict[FaultKind, Callable[[], Answer]] = {
        FaultKind.STATUS: lambda: error(fault.status, "Simulated failure"),
        FaultKind.HANG: Answer.hanging,
        FaultKind.SLOW: lambda: replace(proper, delay_s=real_delay_s),
        FaultKind.RESET: lambda: Answer(raw=b""),
        FaultKind.LOST: lambda: Answer(raw=b""),
        FaultKind.TRUNCATED: lambda: replace(proper, cut_at=len(proper.body) // 2),
        FaultKind.MALFORMED: lambda: replace(proper, body=proper.body[:-1] + b",,}"),
        FaultKind.HTML: lambda: Answer(200, b"<html><body>Please log in</body></html>", {"Content-Type": "text/html"}),
        FaultKind.ERROR_BODY: lambda: json_answer(error_body),
    }
    return made[fault.kind]()
