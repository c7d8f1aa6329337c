"""The clauses that hold for every kind of plugin."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import ValidationError

from scanguard.hooks import API_VERSION, PluginConfig, PluginContext
from scanguard.testing.contracts.other_side import OtherSideClauses
from scanguard.testing.contracts.probes import (
    MAX_PAUSE_S,
    as_json,
    assert_closed,
    assert_no_canary,
    import_afresh,
    log_arguments,
    longest_pause,
)
from scanguard.testing.contracts.state import instance_state, module_state

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class PluginContract(OtherSideClauses):
    """What every plugin keeps; the suites for each kind add to it.

    Set ``plugin`` and ``name``; override the fixtures ``config`` and ``context``, and ``hanging`` and ``broken``
    where the plugin talks to something.
    """

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
