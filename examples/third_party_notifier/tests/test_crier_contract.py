"""The Crier notifier keeps the contract of notifiers."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from scanguard import NotifyError, PluginContext
from scanguard.testing.answering import answering, unreachable_url
from scanguard.testing.contexts import make_context
from scanguard.testing.contracts import CANARY, CANARY_REFERENCE, Broken, NotifierContract
from scanguard.testing.server import LoopbackServer

from crier_service import PATH, CrierService

ROOM: Mapping[str, Any] = {"webhook": CANARY_REFERENCE}


class TestCrierContract(NotifierContract):
    plugin = "scanguard_notify_crier.plugin"
    name = "crier"

    @pytest.fixture
    def at(self, tmp_path: Path) -> Callable[[str], PluginContext]:
        """A context in which the secret is the webhook of a server: it holds the canary, as a real one its key."""
        return lambda url: make_context(tmp_path, secrets={CANARY_REFERENCE: f"{url}{PATH}"})

    @pytest.fixture
    async def context(self, at: Callable[[str], PluginContext]) -> AsyncIterator[PluginContext]:
        service = CrierService()
        async with LoopbackServer(service.answer) as server:
            yield at(server.url)
        assert not service.rude

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        return ROOM

    @pytest.fixture
    def throttled(self, at: Callable[[str], PluginContext]) -> Iterator[Broken]:
        with answering(429, headers={"Retry-After": "7"}) as url:
            yield Broken("throttles", ROOM, NotifyError, retry_after_s=7.0, context=at(url))

    @pytest.fixture
    def broken(self, at: Callable[[str], PluginContext], tmp_path: Path) -> Iterator[Sequence[Broken]]:
        with ExitStack() as servers:

            def from_(status: int) -> PluginContext:
                return at(servers.enter_context(answering(status, b"no")))

            def with_secret(text: str) -> PluginContext:
                return make_context(tmp_path, secrets={CANARY_REFERENCE: text})

            hanging = at(servers.enter_context(answering(hangs=True)))
            yield [
                Broken("is gone", ROOM, NotifyError, context=from_(410)),
                Broken("fails", ROOM, NotifyError, context=from_(500)),
                Broken("wants another message", ROOM, NotifyError, context=from_(400)),
                Broken("sends to a login page", ROOM, NotifyError, context=from_(302)),
                Broken("never answers", {**ROOM, "timeout_s": 0.2}, NotifyError, context=hanging),
                Broken("is not there", ROOM, NotifyError, context=at(unreachable_url())),
                Broken("is no address", ROOM, NotifyError, context=with_secret(CANARY)),
                Broken("has no port", ROOM, NotifyError, context=with_secret(f"http://crier:{CANARY}{PATH}")),
            ]
