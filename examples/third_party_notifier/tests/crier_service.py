"""Crier, on a real socket: keeps the rules of the README, and holds against a client what it breaks."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from scanguard.testing.contracts import CANARY
from scanguard.testing.server import Answer, ReceivedRequest

PATH = f"/hooks/{CANARY}"


@dataclass
class CrierService:
    """One room.

    Attributes:
        refusals: How many messages it refuses with 429 before it takes one.
        wait_s: Seconds it asks to be left alone then.
        messages: What the room shows, each message once.
        rude: Messages that came before their time, or broke a limit.
    """

    refusals: int = 0
    wait_s: int = 1
    messages: list[dict[str, Any]] = field(default_factory=list)
    rude: list[str] = field(default_factory=list)
    _open_at: float = 0.0

    async def answer(self, request: ReceivedRequest) -> Answer:
        """Answer one request; give this to a ``LoopbackServer``."""
        if (request.method, request.path) != ("POST", PATH):
            return Answer(404)
        if time.monotonic() < self._open_at:
            self.rude.append("came too early")
        if self.refusals:
            self.refusals -= 1
            self._open_at = time.monotonic() + self.wait_s
            return Answer(429, headers={"Retry-After": str(self.wait_s)})
        broken = broken_limits(request)
        if broken:
            self.rude += broken
            return Answer(413)
        message = json.loads(request.body)
        if any(shown["id"] == message["id"] for shown in self.messages):
            return Answer(409)
        self.messages.append(message)
        return Answer(200, b"ok")


def broken_limits(request: ReceivedRequest) -> list[str]:
    """What is wrong with a message, by Crier's own rules and in numbers of its own."""
    if request.headers.get("content-type") != "application/json" or len(request.body) > 16_384:
        return [f"{len(request.body)} bytes of {request.headers.get('content-type')}"]
    message = json.loads(request.body)
    if set(message) != {"id", "heading", "sections"}:
        return [f"fields {sorted(message)}"]
    texts = [message["heading"], *message["sections"]]
    faults = [f"<{text[:40]}" for text in texts if "<" in text or ">" in text]
    faults += [f"section of {len(text)}" for text in message["sections"] if not 0 < len(text) <= 2_000]
    if not 0 < len(message["heading"]) <= 150 or "\n" in message["heading"]:
        faults.append("heading")
    return faults if len(message["sections"]) <= 20 else [*faults, f"{len(message['sections'])} sections"]
