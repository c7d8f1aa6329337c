"""The clauses that hold for every kind of plugin."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

import pytest
from pydantic import ValidationError

from scanguard.engine.guard import call_plugin
from scanguard.errors import ScanguardError
from scanguard.hooks import API_VERSION, PluginConfig, PluginContext
from scanguard.testing.contexts import make_context
from scanguard.testing.contracts.probes import (
    CANARY,
    CANCEL_LIMIT_S,
    MAX_PAUSE_S,
    as_json,
    assert_closed,
    assert_no_canary,
    child_processes,
    closed,
    error_texts,
    import_afresh,
    log_arguments,
    longest_pause,
    names,
)
from scanguard.testing.contracts.state import instance_state, module_state

CANARY_REFERENCE: Final = "env:SCANGUARD_CANARY"
"""What a configuration under test writes for a secret."""
MAX_IMPORT_S: Final = 0.5
"""CPU seconds that importing a plugin may cost beyond scanguard's own modules."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Broken:
    """One way in which the other side fails, and the error that must come of it.

    Attributes:
        id: What is broken, in a word or two.
        config: The configuration that leads there.
        error: The exact error class, or a tuple of those allowed.
        retry_after_s: Seconds to wait that the error must carry on.
        context: Another context than the suite's own.
    """

    id: str
    config: Mapping[str, Any]
    error: type[ScanguardError] | tuple[type[ScanguardError], ...]
    retry_after_s: float | None = None
    context: PluginContext | None = None


class PluginContract:
    """What every plugin keeps; the suites for each kind add to it.

    Set ``plugin`` and ``name``; override the fixtures ``config`` and ``context``, and ``hanging`` and ``broken``
    where the plugin talks to something.
    """

    plugin: ClassVar[str]
    """The module with the hooks, such as ``scanguard_acme.plugin``."""
    name: ClassVar[str]
    """The name of the record under test."""
    hook: ClassVar[str]
    spec_type: ClassVar[type]
    timeout_error: ClassVar[type[ScanguardError]]
    max_import_s: ClassVar[float] = MAX_IMPORT_S

    # --- what a plugin's test overrides -------------------------------------------------------------------

    @pytest.fixture
    def config(self) -> Mapping[str, Any]:
        """A configuration that works, as it would be written in the file; use ``CANARY_REFERENCE`` for secrets."""
        return {}

    @pytest.fixture
    def bad_config(self, config: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
        """A configuration that does not, and the key that is wrong."""
        return {**config, "no_such_option": 1}, "no_such_option"

    @pytest.fixture
    def context(self, tmp_path: Path) -> PluginContext:
        """What the engine lends; knows the canary."""
        return make_context(tmp_path, secrets={CANARY_REFERENCE: CANARY})

    @pytest.fixture
    def hanging(self) -> Mapping[str, Any] | None:
        """A configuration whose other side never answers; None where there is no other side."""
        return None

    @pytest.fixture
    def broken(self) -> Sequence[Broken]:
        """How the other side can fail."""
        return ()

    async def use(self, plugin: Any) -> object:  # noqa: ANN401  # each suite knows its own kind
        """Do the plugin's one job, once."""
        raise NotImplementedError

    # --- helpers ------------------------------------------------------------------------------------------

    def spec(self) -> Any:  # noqa: ANN401  # each suite knows its own kind
        """The record under test."""
        records = [*getattr(importlib.import_module(self.plugin), self.hook)()]
        found = [record for record in records if record.name == self.name]
        assert len(found) == 1, f"{self.plugin}.{self.hook} offers {[one.name for one in records]}, not one {self.name}"
        return found[0]

    def build(self, config: Mapping[str, Any], context: PluginContext) -> Any:  # noqa: ANN401  # as above
        """An instance, built as the engine builds it."""
        spec = self.spec()
        return spec.build(spec.config.model_validate(dict(config)), context)

    # --- clauses ------------------------------------------------------------------------------------------

    @pytest.mark.asyncio
    async def test_importing_it_is_silent_and_fast(self, tmp_path: Path) -> None:
        spent: list[float] = []
        for attempt in range(3):
            seen = await import_afresh(self.plugin, tmp_path / f"import-{attempt}.json")
            assert not seen.said, f"importing {self.plugin} writes: {seen.said[:500]}"
            assert seen.threads == 1, f"importing {self.plugin} starts a thread"
            spent.append(seen.spent_s)
            if spent[-1] <= self.max_import_s:
                return
        pytest.fail(f"importing {self.plugin} costs {min(spent):.2f} s of CPU; {self.max_import_s} s are the limit")

    def test_its_record_is_valid(self) -> None:
        module = importlib.import_module(self.plugin)
        version = getattr(module, "scanguard_api_version", None)
        assert version == API_VERSION, f"{self.plugin}.scanguard_api_version is {version!r}, not {API_VERSION}"
        hook = getattr(module, self.hook)
        assert not asyncio.iscoroutinefunction(hook), f"{self.hook} is async; hooks are plain functions"
        for record in hook():
            assert isinstance(record, self.spec_type), f"{self.hook} yields a {type(record).__name__}"
        spec = self.spec()
        assert _NAME.fullmatch(spec.name), f"{spec.name!r} is no plugin name"
        assert issubclass(spec.config, PluginConfig), f"{spec.config.__name__} is no PluginConfig"
        assert spec.description, f"{spec.name} has no description"
        for field in ("timeout_s", "step_timeout_s", "scan_timeout_s"):
            assert getattr(spec, field, 1.0) > 0, f"{field} must be positive"

    def test_every_option_is_described(self) -> None:
        silent = [name for name, field in self.spec().config.model_fields.items() if not field.description]
        assert not silent, f"options without a description: {', '.join(silent)}"

    def test_a_wrong_configuration_names_the_key(self, bad_config: tuple[Mapping[str, Any], str]) -> None:
        config, key = bad_config
        try:
            self.spec().config.model_validate(dict(config))
        except ValidationError as exc:
            named = {str(part) for error in exc.errors() for part in error["loc"]}
            assert key in named, f"the error names {sorted(named)}, not {key}"
        else:
            pytest.fail(f"a configuration with a wrong {key} is accepted")

    @pytest.mark.asyncio
    async def test_two_instances_share_no_state(self, config: Mapping[str, Any], context: PluginContext) -> None:
        other = replace(context, instance="other", log=logging.getLogger("scanguard.plugin.other"))
        used, idle = self.build(config, context), self.build(config, other)
        await self.use(used)  # what is loaded lazily is loaded now
        lent = [other, *(getattr(other, name) for name in other.__slots__)]
        package = self.plugin.partition(".")[0] if "." in self.plugin else self.plugin
        package = self.plugin.rpartition(".")[0] if package == "scanguard" else package
        before = instance_state(idle, lent), module_state(package)
        await self.use(used)
        after = instance_state(idle, lent), module_state(package)
        assert after[0] == before[0], "using one instance changed another"
        changed = [place for place, held in after[1].items() if before[1].get(place, held) != held]
        assert not changed, f"using an instance changed what all instances share: {', '.join(changed)}"
        await used.aclose()
        await idle.aclose()

    @pytest.mark.asyncio
    @pytest.mark.parametrize("steps", [0, 1, 3, 30])
    async def test_a_cancelled_call_ends_within_a_second_and_leaves_nothing_behind(
        self, config: Mapping[str, Any], hanging: Mapping[str, Any] | None, context: PluginContext, steps: int
    ) -> None:
        plugin = self.build(config if hanging is None else hanging, context)
        tasks, children = asyncio.all_tasks(), child_processes()
        call = asyncio.ensure_future(self.use(plugin))
        for _ in range(steps):
            await asyncio.sleep(0 if steps < 30 else 0.005)
        call.cancel()
        started = time.monotonic()
        done, _ = await asyncio.wait({call}, timeout=CANCEL_LIMIT_S)
        assert done, f"it goes on {time.monotonic() - started:.1f} s after it was cancelled"
        await closed(plugin)
        await asyncio.sleep(0.01)
        left = asyncio.all_tasks() - tasks
        assert not left, f"cancelled, it leaves {len(left)} tasks running"
        assert child_processes() <= children, "cancelled, it leaves a child process running"
        assert_closed(context)
        if not call.cancelled():
            call.exception()

    @pytest.mark.asyncio
    async def test_a_call_that_takes_too_long_is_given_up_at_its_deadline(
        self, hanging: Mapping[str, Any] | None, config: Mapping[str, Any], context: PluginContext
    ) -> None:
        if hanging is None:
            plugin = self.build(config, context)
            await asyncio.wait_for(self.use(plugin), self._limit_s())
            await plugin.aclose()
            return
        plugin = self.build(hanging, context)
        started = time.monotonic()
        with pytest.raises(self.timeout_error):
            await self._guarded(self.use(plugin), timeout_s=0.3)
        spent = time.monotonic() - started
        assert spent < 0.3 + CANCEL_LIMIT_S / 2, f"with a deadline of 0.3 s it took {spent:.1f} s"
        await closed(plugin)

    async def _guarded(self, call: Coroutine[Any, Any, object], timeout_s: float) -> object:
        return await call_plugin(
            call, plugin=self.name, what="call", timeout_s=timeout_s, timeout_error=self.timeout_error, returns=object
        )

    def _limit_s(self) -> float:
        spec = self.spec()
        return float(getattr(spec, "timeout_s", None) or spec.scan_timeout_s)

    @pytest.mark.asyncio
    async def test_each_failure_of_the_other_side_becomes_the_right_error(
        self, broken: Sequence[Broken], context: PluginContext, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        for case in broken:
            error = await self._failure(case, case.context or context)
            allowed = case.error if isinstance(case.error, tuple) else (case.error,)
            kind = type(error).__name__
            assert type(error) in allowed, f"{case.id}: {kind} ({error}), not {names(allowed)}"
            waits = error.retry_after_s
            assert case.retry_after_s in (None, waits), (
                f"{case.id}: it says to wait {waits} s, not {case.retry_after_s}"
            )
            assert_no_canary(case.id, [*error_texts(error), caplog.text])

    async def _failure(self, case: Broken, context: PluginContext) -> ScanguardError:
        plugin = self.build(case.config, context)
        try:
            answer = await self.use(plugin)
        except ScanguardError as exc:
            return exc
        except Exception as exc:
            raise AssertionError(f"{case.id}: a foreign {type(exc).__name__} escaped") from exc
        finally:
            await plugin.aclose()
        raise AssertionError(f"{case.id}: it answered with a {type(answer).__name__} instead of raising")

    @pytest.mark.asyncio
    async def test_it_never_holds_up_what_runs_beside_it(
        self, config: Mapping[str, Any], context: PluginContext
    ) -> None:
        plugin = self.build(config, context)
        await self.use(plugin)  # what is loaded lazily is loaded now
        worst = await longest_pause(self.use(plugin))
        await plugin.aclose()
        assert worst <= MAX_PAUSE_S, f"it holds up everything else for {worst:.2f} s: do such work in a thread"

    @pytest.mark.asyncio
    async def test_a_secret_never_shows(
        self, config: Mapping[str, Any], context: PluginContext, caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        caplog.set_level(logging.DEBUG)
        plugin = self.build(config, context)
        answer = await self.use(plugin)
        await plugin.aclose()
        written = capsys.readouterr()
        spec = self.spec()
        shown = [repr(plugin), repr(spec.config.model_validate(dict(config))), repr(answer), as_json(answer)]
        assert_no_canary("in use", [*shown, caplog.text, written.out, written.err, *log_arguments(caplog)])

    @pytest.mark.asyncio
    async def test_closing_leaves_no_client_open_and_may_happen_twice_or_unused(
        self, config: Mapping[str, Any], context: PluginContext
    ) -> None:
        await self.build(config, context).aclose()
        plugin = self.build(config, context)
        await self.use(plugin)
        await plugin.aclose()
        await plugin.aclose()
        assert_closed(context)
