"""How the simulator of Resource Manager misbehaves: limits, faults, and what it answers then."""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from scanguard.testing.server import Answer

FaultKind = Literal["status", "hang", "reset", "garbage", "html", "huge", "truncated", "slow"]


@dataclass(slots=True)
class Fault:
    """Some answers go wrong; the first that matches does.

    Attributes:
        path: Of the requests it is for, lower-case, with ``*``.
        after: Matching requests that go well first.
        times: How often; None for ever.
        retry_after_s: Sent with ``status``.
    """

    kind: FaultKind = "status"
    status: int = 503
    code: str = "ServiceUnavailable"
    path: str = "*"
    probability: float = 1.0
    after: int = 0
    times: int | None = None
    retry_after_s: int | None = None
    delay_s: float = 0.2

    def takes(self, path: str, chance: random.Random) -> bool:
        """Whether this request goes wrong."""
        if not fnmatchcase(path, self.path) or self.times == 0:
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if chance.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True


def first(faults: Iterable[Fault], path: str, chance: random.Random) -> Fault | None:
    """The fault that takes a request."""
    return next((fault for fault in faults if fault.takes(path, chance)), None)


def spoiled(fault: Fault, proper: Answer) -> Answer:
    """The answer, gone wrong."""
    if fault.kind == "status":
        answer = refusal(fault.status, fault.code)
        if fault.retry_after_s is not None:
            answer.headers["Retry-After"] = str(fault.retry_after_s)
        return answer
    if fault.kind == "slow":
        proper.delay_s = fault.delay_s
        return proper
    made = {
        "hang": Answer.hanging(),
        "reset": Answer(raw=b""),
        "garbage": Answer.garbage(),
        "html": Answer(200, b"<html><body>Sign in</body></html>", {"Content-Type": "text/html"}),
        "huge": Answer(200, b'{"id":"', stream=_endless()),
        "truncated": Answer.cut_off(proper.body, at=len(proper.body) // 2),
    }
    return made[fault.kind]


async def _endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 65536


def refusal(status: int, code: str, message: str = "") -> Answer:
    """An error as Resource Manager writes it."""
    body = {"error": {"code": code, "message": message or f"{code}."}}
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json; charset=utf-8"})


def json_answer(document: Any) -> Answer:
    """A success."""
    return Answer(200, json.dumps(document).encode(), {"Content-Type": "application/json; charset=utf-8"})


@dataclass(slots=True)
class TokenBucket:
    """Azure's limit: a burst, and so many a second after it."""

    burst: float = 250
    per_s: float = 25
    refused: int = 0
    clock: Callable[[], float] = time.monotonic
    _level: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._level, self._at = self.burst, self.clock()

    def wait_s(self) -> float:
        """0 when one more may come now; else the seconds until it may, and it counts as refused."""
        now = self.clock()
        self._level = min(self.burst, self._level + (now - self._at) * self.per_s)
        self._at = now
        if self._level >= 1:
            self._level -= 1
            return 0.0
        self.refused += 1
        return (1 - self._level) / self.per_s

    @property
    def left(self) -> int:
        """How many may come now."""
        return int(self._level)
