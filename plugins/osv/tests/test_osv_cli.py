"""``scanguard osv``, and what the plugin offers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from scanguard_osv import plugin
from scanguard_osv.cli import build
from scanguard_osv.config import OsvConfig

from scanguard.hooks import PluginContext

DATA = Path(__file__).parent / "data"


@pytest.fixture
def command(make_context: Callable[..., PluginContext]) -> click.Command:
    return build(make_context())


def test_import_shows_what_the_database_now_holds(command: click.Command, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        command, ["import", str(DATA / "osv/PyPI-subset.zip"), str(DATA / "osv/Alpine-subset.zip")]
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "data/osv.db").is_file()
    assert all(word in result.stdout for word in ("PyPI", "247", "Alpine", "60"))


def test_status_speaks_json_to_machines(command: click.Command) -> None:
    runner = CliRunner()
    assert runner.invoke(command, ["import", str(DATA / "osv/Alpine-subset.zip")]).exit_code == 0
    result = runner.invoke(command, ["status", "--format", "json"])
    document = json.loads(result.stdout)
    assert document["ecosystems"][0]["newest_modified"] == "2020-06-08T00:00:00+00:00"
    assert document["releases"]["Alpine:v3.11"] > 0


def test_import_tells_of_records_it_could_not_read(command: click.Command, write_export: Callable[..., Path]) -> None:
    good = (DATA / "debian/DLA-3008-1.json").read_bytes()
    result = CliRunner().invoke(command, ["import", str(write_export([good, b"{"]))])
    assert result.exit_code == 0
    assert "1 records cannot be read; coverage of Debian will be partial" in result.stderr


def test_an_export_can_be_told_what_it_is_an_export_of(command: click.Command, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["import", str(DATA / "debian"), "--ecosystem", "Ubuntu"])
    assert result.exit_code == 0
    assert "name Debian too" in result.stderr
    assert "Debian" not in result.stdout


def test_the_plugin_offers_a_scanner_and_a_command(make_context: Callable[..., PluginContext]) -> None:
    [scanner] = plugin.scanguard_scanners()
    [offered] = plugin.scanguard_commands()
    assert (scanner.name, offered.name, plugin.scanguard_api_version) == ("osv", "osv", 1)
    assert scanner.fingerprint is not None
    assert "request_timeout_s" not in scanner.fingerprint(OsvConfig())
    assert scanner.build(scanner.config(), make_context())
    assert isinstance(offered.build(make_context()), click.Command)


def test_importing_the_plugin_is_silent_and_loads_nothing_heavy() -> None:
    code = (
        "import sys, scanguard_osv.plugin; "
        "print([m for m in ('univers', 'cvss', 'packaging_legacy', 'packageurl', 'sqlite3') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # our own interpreter
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_the_readme_lists_every_option_with_its_default() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    for name, option in OsvConfig.model_fields.items():
        assert f"| `{name}` |" in readme, name
        assert option.description
