from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from scanguard.cli.context import CliContext
from scanguard.errors import PluginConflictError, ScanguardError, ScannerUnavailableError
from scanguard.hooks import Catalog, CommandSpec, PluginContext
from scanguard.loader import PluginInfo, Plugins
from scanguard.testing.commands import FakeApplication, invoke

EMPTY = Catalog({}, {}, {}, {}, {}, {}, {}, {}, {})
OSV = PluginInfo(name="osv", kinds=("scanner", "command"), version="0.1.0", distribution="scanguard-osv", api_version=1)
BROKEN = PluginInfo(name="acme", status="not loaded", error="ImportError: no module named 'acme\x1b[31m'")


def context(commands: Mapping[str, CommandSpec]) -> CliContext:
    loaded = Plugins((OSV, BROKEN), replace(EMPTY, commands=commands))
    return CliContext(load_plugins=lambda environ: loaded)


def plugin_context() -> PluginContext:
    return PluginContext(*([None] * 9))  # type: ignore[arg-type]  # only handed through


def spec(build: Callable[[PluginContext], Any], name: str = "osv") -> CommandSpec:
    return CommandSpec(name, build, "Import advisories.")


def must_not_be_built(given: PluginContext) -> click.Command:
    raise AssertionError("built without being called")


def test_plugins_are_shown_with_why_one_is_not_loaded() -> None:
    result = invoke(["plugins"], context=context({}))
    assert result.exit_code == 0
    assert "scanner, command" in result.stdout
    assert "scanguard-osv" in result.stdout
    assert r"acme not loaded: ImportError: no module named 'acme\x1b[31m'" in result.stdout


def test_plugins_as_json() -> None:
    document = json.loads(invoke(["plugins", "--format", "json"], context=context({})).stdout)
    assert document["schema_version"] == 1
    assert document["plugins"][0] == {
        "name": "osv",
        "kinds": ["scanner", "command"],
        "version": "0.1.0",
        "distribution": "scanguard-osv",
        "api_version": 1,
        "status": "loaded",
        "why": "",
    }


def test_the_help_lists_a_plugins_command_without_building_it() -> None:
    result = invoke(["--help"], context=context({"osv": spec(must_not_be_built)}))
    assert result.exit_code == 0
    assert "Commands of plugins:\n  osv  Import advisories." in result.stdout


def test_a_plugins_command_runs_with_its_context_and_arguments() -> None:
    given = plugin_context()

    def build(received: PluginContext) -> click.Command:
        assert received is given

        @click.group()
        def osv() -> None: ...

        @osv.command("import")
        @click.argument("file")
        def import_(file: str) -> None:
            click.echo(f"imported {file}")

        return osv

    result = invoke(["osv", "import", "x.zip"], FakeApplication(context=given), context=context({"osv": spec(build)}))
    assert (result.exit_code, result.stdout) == (0, "imported x.zip\n")


def raising(error: Exception) -> Callable[[PluginContext], click.Command]:
    def build(given: PluginContext) -> click.Command:
        raise error

    return build


@pytest.mark.parametrize(
    ("build", "code", "told"),
    [
        pytest.param(raising(RuntimeError("boom")), 70, "could not be built (RuntimeError)", id="raises"),
        pytest.param(lambda given: "not a command", 70, "is a str, not a click command", id="no command"),
        pytest.param(raising(PluginConflictError("two of them")), 2, "two of them", id="typed error"),
    ],
)
def test_a_broken_command_hurts_only_itself(build: Callable[[PluginContext], Any], code: int, told: str) -> None:
    installed = context({"osv": spec(build)})
    app = FakeApplication(context=plugin_context())
    result = invoke(["osv"], app, context=installed)
    assert result.exit_code == code
    assert told in result.stderr
    assert invoke(["worker", "--once"], app, context=installed).exit_code == 0


def test_an_error_inside_a_plugins_command_is_mapped_like_any_other() -> None:
    @click.command()
    def osv() -> None:
        raise ScannerUnavailableError("osv.dev answered 503")

    result = invoke(
        ["osv"], FakeApplication(context=plugin_context()), context=context({"osv": spec(lambda given: osv)})
    )
    assert result.exit_code == 70
    assert "Error: osv.dev answered 503" in result.stderr


def test_a_plugin_cannot_take_the_name_of_a_built_in_command() -> None:
    installed = context({"worker": spec(must_not_be_built, "worker")})
    assert "Commands of plugins" not in invoke(["--help"], context=installed).stdout
    assert invoke(["worker", "--once"], FakeApplication(), context=installed).exit_code == 0


def test_plugins_that_cannot_be_loaded_at_all_leave_the_built_in_commands() -> None:
    def fail(environ: Mapping[str, str]) -> Plugins:
        raise ScanguardError("SCANGUARD_PLUGINS names no module: x y")

    installed = CliContext(load_plugins=fail)
    result = invoke(["--help"], context=installed)
    assert result.exit_code == 0
    assert "  scan " in result.stdout
    assert "SCANGUARD_PLUGINS names no module" in result.stderr
    assert invoke(["worker", "--once"], FakeApplication(), context=installed).exit_code == 0


def test_an_unknown_command_suggests_a_plugins() -> None:
    result = invoke(["osvv"], context=context({"osv": spec(must_not_be_built)}))
    assert result.exit_code == 2
    assert "Did you mean 'osv'?" in result.stderr


def test_a_plugins_command_is_built_with_the_global_options(tmp_path: Path) -> None:
    given = context({"osv": spec(lambda received: click.Command("osv"))})
    app = FakeApplication(context=plugin_context())
    config = tmp_path / "c.yaml"
    config.touch()
    result = invoke(["--data-dir", str(tmp_path), "--config", str(config), "osv"], app, context=given)
    assert result.exit_code == 0, result.output
    assert app.options is not None
    assert (app.options.data_dir, app.options.config) == (tmp_path, (config,))
