"""The clauses about the other side: it does not answer, fails, or is not there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from scanguard.engine.guard import call_plugin
from scanguard.errors import ScanguardError
from scanguard.hooks import PluginContext
from scanguard.testing.contexts import WatchedHttp
from scanguard.testing.contracts.outside import watched_outside
from scanguard.testing.contracts.probes import (
    CANCEL_LIMIT_S,
    assert_closed,
    assert_no_canary,
    child_processes,
    closed,
    error_texts,
    names,
)
from scanguard.testing.contracts.services import FAILING, Service, turned_to, turned_to_silence
from scanguard.testing.contracts.setting import Broken, PluginSetting

_DEADLINE_S: Final = 0.3
_USE_LIMIT_S: Final = 30.0


@dataclass(frozen=True)
class Silence:
    """What makes the other side of a plugin silent.

    Attributes:
        config: The configuration to build it with.
        context: The context to lend.
        is_given: Whether the author gave it; otherwise all its HTTP goes to a server that never answers.
    """

    config: Mapping[str, Any]
    context: PluginContext
    is_given: bool

    @property
    def was_met(self) -> bool:
        """Whether the plugin asked the suite's silent server for something."""
        return isinstance(self.context.http, WatchedHttp) and self.context.http.asked > 0


class OtherSideClauses(PluginSetting):
    """What a plugin does when what it talks to is slow, broken or gone."""

    @pytest.fixture
    def silence(
        self,
        config: Mapping[str, Any],
        context: PluginContext,
        hanging: Mapping[str, Any] | None,
        hanging_context: PluginContext,
    ) -> Silence:
        """The author's ``hanging``, else a configuration that works: see :meth:`_silenced`."""
        if hanging is None:
            return Silence(config, context, is_given=False)
        return Silence(hanging, hanging_context, is_given=True)

    @contextmanager
    def _silenced(self, silence: Silence) -> Iterator[Silence]:
        """Make the other side silent; fail, saying what to add, where the suite cannot."""
        if silence.is_given:
            yield silence
            return
        with turned_to_silence(silence.context) as lent:
            made = Silence(silence.config, lent, is_given=False)
            with watched_outside() as outside:
                yield made
            if outside and not made.was_met:
                pytest.fail(
                    f"it {' and '.join(sorted(outside))}, and not through context.http: override the fixture `hanging` "
                    "with a configuration whose other side never answers, so that this clause has something to try"
                )

    @pytest.mark.asyncio
    @pytest.mark.parametrize("steps", [0, 1, 3, 30])
    async def test_a_cancelled_call_ends_within_a_second_and_leaves_nothing_behind(
        self, silence: Silence, steps: int
    ) -> None:
        tasks, children = asyncio.all_tasks(), child_processes()
        with self._silenced(silence) as silent:
            plugin = self.build(silent.config, silent.context)
            call = asyncio.ensure_future(self.use(plugin))
            for _ in range(steps):
                await asyncio.sleep(0 if steps < 30 else 0.005)
            call.cancel()
            started = time.monotonic()
            done, _ = await asyncio.wait({call}, timeout=CANCEL_LIMIT_S)
            assert done, f"it goes on {time.monotonic() - started:.1f} s after it was cancelled"
            await closed(plugin)
            assert child_processes() <= children, "cancelled, it leaves a child process running"
            assert_closed(silent.context)
        await asyncio.sleep(0.01)
        left = asyncio.all_tasks() - tasks
        assert not left, f"cancelled, it leaves {len(left)} tasks running"
        if not call.cancelled():
            call.exception()

    @pytest.mark.asyncio
    async def test_a_call_that_takes_too_long_is_given_up_at_its_deadline(self, silence: Silence) -> None:
        with self._silenced(silence) as silent:
            plugin = self.build(silent.config, silent.context)
            started, answered = time.monotonic(), False
            try:
                answered = await self._guarded(self.use(plugin), timeout_s=_DEADLINE_S) is not None
            except self.timeout_error:
                spent = time.monotonic() - started
                limit = _DEADLINE_S + CANCEL_LIMIT_S / 2
                assert spent < limit, f"with a deadline of {_DEADLINE_S} s it took {spent:.1f} s"
            finally:
                await closed(plugin)
            assert not (answered and (silent.is_given or silent.was_met)), "nobody answered it, and it gives an answer"

    async def _guarded(self, call: Coroutine[Any, Any, object], timeout_s: float) -> object:
        return await call_plugin(
            call, plugin=self.name, what="call", timeout_s=timeout_s, timeout_error=self.timeout_error, returns=object
        )

    @pytest.mark.asyncio
    @pytest.mark.parametrize("service", [pytest.param(one, id=one.id) for one in FAILING])
    async def test_a_service_that_fails_becomes_an_error_of_its_kind(
        self, service: Service, config: Mapping[str, Any], context: PluginContext, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with turned_to(service, context) as lent:
            answer = await self._answer(config, lent, service.id)
        if not (isinstance(lent.http, WatchedHttp) and lent.http.asked):
            return  # it has no other side, or not over HTTP: `broken` is for those
        if not isinstance(answer, ScanguardError):
            await self.check_answer_of_the_failed(service, answer, config, context)
            return
        kind = type(answer).__name__
        assert isinstance(answer, self.error_family), f"{service.id}: {kind}, not a {self.error_family.__name__}"
        if service.retry_after_s is not None:
            waits = answer.retry_after_s
            assert waits == service.retry_after_s, f"told to wait {service.retry_after_s} s, the error says {waits}"
            assert answer.is_retryable, f"{service.id}: {kind} is not retryable"
        assert_no_canary(service.id, [*error_texts(answer), caplog.text])

    async def check_answer_of_the_failed(
        self, service: Service, answer: object, config: Mapping[str, Any], context: PluginContext
    ) -> None:
        """What to say of a plugin that answers although its service failed."""
        raise AssertionError(f"{service.id}: it answered with a {type(answer).__name__} instead of raising")

    async def _answer(self, config: Mapping[str, Any], context: PluginContext, what: str) -> object:
        """What a use of the plugin gives, or the error that it raises."""
        plugin = self.build(config, context)
        try:
            return await asyncio.wait_for(self.use(plugin), _USE_LIMIT_S)
        except ScanguardError as exc:
            return exc
        except TimeoutError as exc:
            raise AssertionError(f"{what}: no answer and no error within {_USE_LIMIT_S:.0f} s") from exc
        except AssertionError:
            raise
        except Exception as exc:
            raise AssertionError(f"{what}: a foreign {type(exc).__name__} escaped") from exc
        finally:
            await plugin.aclose()

    @pytest.mark.asyncio
    async def test_each_failure_of_the_other_side_becomes_the_right_error(
        self, broken: Sequence[Broken], context: PluginContext, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        for case in broken:
            error = await self._answer(case.config, case.context or context, case.id)
            kind = type(error).__name__
            assert isinstance(error, ScanguardError), f"{case.id}: it answered with a {kind} instead of raising"
            allowed = case.error if isinstance(case.error, tuple) else (case.error,)
            assert type(error) in allowed, f"{case.id}: {kind} ({error}), not {names(allowed)}"
            waits = error.retry_after_s
            assert case.retry_after_s in (None, waits), (
                f"{case.id}: it says to wait {waits} s, not {case.retry_after_s}"
            )
            assert_no_canary(case.id, [*error_texts(error), caplog.text])
