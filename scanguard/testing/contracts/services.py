"""Servers of the suites' own, on real sockets, that fail in one way each: all requests of a plugin are sent there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Final

from scanguard.hooks import PluginContext
from scanguard.testing.answering import answering, unreachable_url
from scanguard.testing.contexts import WatchedHttp
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

WAITS_S: Final = 7.0
"""What the suites' service that is asked too much wants to be left alone for."""
_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Service:
    """A service that gives one answer to everything.

    Attributes:
        id: What is wrong with it, in a word or two.
        answer: What it answers; None where nobody listens.
        retry_after_s: Seconds it asks to be left alone.
    """

    id: str
    answer: Answer | None
    retry_after_s: float | None = None


FAILING: Final = (
    Service("fails", Answer(500, b"{}", dict(_JSON))),
    Service("is asked too much", Answer(429, b"{}", {"Retry-After": f"{WAITS_S:.0f}"}), retry_after_s=WAITS_S),
    Service("speaks no HTTP", Answer(raw=b"220 mail.example ESMTP\r\n")),
    Service("is cut off", Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Le")),
    Service("is not there", None),
)
"""Ways to fail that are failures of any service."""
TALKING_NONSENSE: Final = (
    Service("says nothing", Answer(200, b"", dict(_JSON))),
    Service("shows a login page", Answer(200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})),
    Service("cuts its answer off", Answer(200, b'{"results": [', {**_JSON, "Content-Length": "4096"}, cut_at=13)),
    Service("stops in the middle", Answer(200, b'{"results": [{"id": "CVE-', dict(_JSON))),
    Service("answers with bytes", Answer(200, bytes(range(256)), dict(_JSON))),
    Service("answers endlessly deep", Answer(200, b"[" * 100_000, dict(_JSON))),
)
"""Answers, all with status 200, that mean nothing in JSON or any other form a scanner might expect."""


@asynccontextmanager
async def turned_to(service: Service, context: PluginContext) -> AsyncIterator[PluginContext]:
    """Run a service, and lend the context with every request through ``context.http`` sent there."""

    async def answer(_: ReceivedRequest) -> Answer:
        assert service.answer is not None
        return service.answer

    async with LoopbackServer(answer) as server:
        yield _lent(context, server.url if service.answer else unreachable_url())


@contextmanager
def turned_to_silence(context: PluginContext) -> Iterator[PluginContext]:
    """The same with a service that never answers; it has a thread of its own and leaves no task in the loop."""
    with answering(hangs=True) as url:
        yield _lent(context, url)


def _lent(context: PluginContext, url: str) -> PluginContext:
    return replace(context, http=WatchedHttp(elsewhere=url))
