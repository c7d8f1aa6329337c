"""The contract of secret stores."""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from typing import ClassVar, Final

import pytest
from pydantic import SecretStr

from scanguard.errors import SecretError
from scanguard.hooks import SecretStore, SecretStoreSpec
from scanguard.testing.contracts.probes import CANARY, CANCEL_LIMIT_S, assert_no_canary, error_texts

_HOSTILE: Final = ("", " ", "no such/../secret", "\x00", "x" * 5_000, "%s{0}$HOME", "\u202etxt.terces")


class SecretStoreContract:
    """What every secret store keeps.

    Set ``plugin`` and ``name`` (the scheme); override the fixtures ``known`` with a locator whose secret is
    :data:`~scanguard.testing.contracts.CANARY`, and ``unknown`` with one that leads nowhere.
    """

    plugin: ClassVar[str]
    name: ClassVar[str]

    @pytest.fixture
    def known(self) -> str:
        """A locator of the canary."""
        raise NotImplementedError("override the fixture `known`")

    @pytest.fixture
    def unknown(self) -> str:
        """A locator of nothing."""
        return "scanguard-no-such-secret"

    def store(self) -> SecretStore:
        """A store, built as the engine builds it."""
        records: list[SecretStoreSpec] = [*importlib.import_module(self.plugin).scanguard_secret_stores()]
        (spec,) = [record for record in records if record.name == self.name]
        assert spec.description, f"{self.name} has no description"
        return spec.build()

    @pytest.mark.asyncio
    async def test_it_gives_the_secret_and_shows_it_nowhere(self, known: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        store = self.store()
        secret = await store.resolve(known)
        assert isinstance(secret, SecretStr), f"it gives a {type(secret).__name__}, not a SecretStr"
        assert secret.get_secret_value() == CANARY
        assert_no_canary("in use", [repr(store), repr(secret), caplog.text])

    @pytest.mark.asyncio
    async def test_what_is_not_there_is_an_error_that_names_the_reference(self, unknown: str) -> None:
        with pytest.raises(SecretError) as caught:
            await self.store().resolve(unknown)
        assert unknown in caught.value.message, f"the error does not name {unknown}: {caught.value.message}"
        assert_no_canary("an error", error_texts(caught.value))

    @pytest.mark.asyncio
    @pytest.mark.parametrize("locator", _HOSTILE, ids=range(len(_HOSTILE)))
    async def test_a_hostile_reference_is_an_error_and_nothing_else(self, locator: str) -> None:
        with pytest.raises(SecretError):
            await asyncio.wait_for(self.store().resolve(locator), 5)

    @pytest.mark.asyncio
    async def test_asked_again_it_gives_the_same_and_two_stores_share_nothing(self, known: str) -> None:
        one, other = self.store(), self.store()
        values = [(await store.resolve(known)).get_secret_value() for store in (one, one, other)]
        assert values == [CANARY] * 3
        assert one is not other, "two stores are one object"

    @pytest.mark.asyncio
    async def test_a_cancelled_call_ends_within_a_second(self, known: str) -> None:
        tasks = asyncio.all_tasks()
        call = asyncio.ensure_future(self.store().resolve(known))
        await asyncio.sleep(0)
        call.cancel()
        started = time.monotonic()
        done, _ = await asyncio.wait({call}, timeout=CANCEL_LIMIT_S)
        assert done, f"it goes on {time.monotonic() - started:.1f} s after it was cancelled"
        assert asyncio.all_tasks() <= tasks, "cancelled, it leaves a task running"
