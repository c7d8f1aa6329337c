"""The contract of secret stores."""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, Final

import pytest
from pydantic import SecretStr

from scanguard.errors import SecretError
from scanguard.hooks import PluginConfig, PluginContext, SecretStore, SecretStoreSpec
from scanguard.ports import SystemClock
from scanguard.testing.contexts import make_context
from scanguard.testing.contracts.probes import (
    CANARY,
    CANCEL_LIMIT_S,
    MAX_PAUSE_S,
    assert_no_canary,
    error_texts,
    longest_pause,
)

_HOSTILE: Final = ("", " ", "no such/../secret", "\x00", "x" * 5_000, "%s{0}$HOME", "\u202etxt.terces")


class SecretStoreContract:
    """What every secret store keeps.

    Set ``plugin`` and ``name`` (the scheme); override the fixtures ``known`` with a locator whose secret is
    :data:`~scanguard.testing.contracts.CANARY`, and ``unknown`` with one that leads nowhere. Override ``unusable`` and,
    where the store asks a service, ``hanging``.
    """

    plugin: ClassVar[str]
    name: ClassVar[str]
    max_resolve_s: ClassVar[float] = 30.0
    """Seconds after which a secret is there or an error is."""

    @pytest.fixture
    def known(self) -> str:
        """A locator of the canary."""
        raise NotImplementedError("override the fixture `known`")

    @pytest.fixture
    def unknown(self) -> str:
        """A locator of nothing."""
        return "scanguard-no-such-secret"

    @pytest.fixture
    def unusable(self) -> Sequence[str]:
        """Locators of things that hold the canary and can be no secret, such as a file that is not text."""
        return ()

    @pytest.fixture
    def hanging(self) -> str | None:
        """A locator at a service that never answers; None where nobody is asked."""
        return None

    def store(self) -> SecretStore:
        """A store, built as the engine builds it."""
        records: list[SecretStoreSpec] = [*importlib.import_module(self.plugin).scanguard_secret_stores()]
        (spec,) = [record for record in records if record.name == self.name]
        assert spec.description, f"{self.name} has no description"
        return spec.build(self.config(), self.context())

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[SecretStore]:
        """A store, closed afterwards where it can be."""
        store = self.store()
        try:
            yield store
        finally:
            close = getattr(store, "aclose", None)
            if close is not None:
                await close()

    def config(self) -> PluginConfig:
        """What the store's instance says; by default nothing."""
        records = [*importlib.import_module(self.plugin).scanguard_secret_stores()]
        made: PluginConfig = next(record for record in records if record.name == self.name).config()
        return made

    def context(self) -> PluginContext:
        """What the engine lends."""
        return make_context(Path.cwd(), instance=self.name, clock=SystemClock())

    @pytest.mark.asyncio
    async def test_it_gives_the_secret_and_shows_it_nowhere(self, known: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        async with self.opened() as store:
            secret = await store.resolve(known)
            assert isinstance(secret, SecretStr), f"it gives a {type(secret).__name__}, not a SecretStr"
            assert secret.get_secret_value() == CANARY
            assert_no_canary("in use", [repr(store), repr(secret), caplog.text])

    @pytest.mark.asyncio
    async def test_what_is_not_there_is_an_error_that_names_the_reference(self, unknown: str, known: str) -> None:
        async with self.opened() as store:
            await store.resolve(known)
            error = await self._refusal(store, unknown)
        assert unknown in error.message, f"the error does not name {unknown}: {error.message}"

    @pytest.mark.asyncio
    async def test_what_can_be_no_secret_is_an_error_that_does_not_show_it(
        self, unusable: Sequence[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        for locator in unusable:
            async with self.opened() as store:
                await self._refusal(store, locator)
        assert_no_canary("a log", [caplog.text])

    async def _refusal(self, store: SecretStore, locator: str) -> SecretError:
        """The error that a reference gives."""
        shown = f"{locator!r:.60}"
        try:
            secret = await asyncio.wait_for(store.resolve(locator), self.max_resolve_s)
        except SecretError as exc:
            assert_no_canary("an error", error_texts(exc))
            return exc
        except TimeoutError:
            raise AssertionError(f"{shown} gives nothing within {self.max_resolve_s} s") from None
        except Exception as exc:
            raise AssertionError(f"{shown} lets a foreign {type(exc).__name__} out") from exc
        raise AssertionError(f"{shown} gives a {type(secret).__name__} instead of an error")

    @pytest.mark.asyncio
    @pytest.mark.parametrize("locator", _HOSTILE, ids=range(len(_HOSTILE)))
    async def test_a_hostile_reference_is_an_error_and_nothing_else(self, locator: str) -> None:
        async with self.opened() as store:
            await self._refusal(store, locator)

    @pytest.mark.asyncio
    async def test_asked_again_it_gives_the_same_and_two_stores_share_nothing(self, known: str) -> None:
        async with self.opened() as one, self.opened() as other:
            values = [(await store.resolve(known)).get_secret_value() for store in (one, one, other)]
        assert values == [CANARY] * 3
        assert one is not other, "two stores are one object"

    @pytest.mark.asyncio
    async def test_a_service_that_never_answers_is_given_up(self, hanging: str | None) -> None:
        if hanging is not None:
            async with self.opened() as store:
                await self._refusal(store, hanging)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("steps", [0, 1, 3, 30])
    async def test_a_cancelled_call_ends_within_a_second(self, known: str, hanging: str | None, steps: int) -> None:
        tasks = asyncio.all_tasks()
        async with self.opened() as store:
            call = asyncio.ensure_future(store.resolve(known if hanging is None else hanging))
            for _ in range(steps):
                await asyncio.sleep(0 if steps < 30 else 0.005)
            call.cancel()
            started = time.monotonic()
            done, _ = await asyncio.wait({call}, timeout=CANCEL_LIMIT_S)
            assert done, f"it goes on {time.monotonic() - started:.1f} s after it was cancelled"
        assert asyncio.all_tasks() <= tasks, "cancelled, it leaves a task running"
        if not call.cancelled():
            call.exception()

    @pytest.mark.asyncio
    async def test_it_never_holds_up_what_runs_beside_it(self, known: str) -> None:
        async with self.opened() as store:
            await store.resolve(known)  # what is loaded lazily is loaded now
            worst = await longest_pause(store.resolve(known))
        assert worst <= MAX_PAUSE_S, f"it holds up everything else for {worst:.2f} s: do such work in a thread"
