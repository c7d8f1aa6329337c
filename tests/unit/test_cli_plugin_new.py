from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from scanguard.cli.context import CliContext
from scanguard.hooks import Catalog
from scanguard.loader import PluginInfo, Plugins, load_plugins
from scanguard.testing.commands import invoke

EMPTY = Catalog({}, {}, {}, {}, {}, {}, {}, {}, {})


def installed(*plugins: PluginInfo) -> CliContext:
    return CliContext(load_plugins=lambda environ: Plugins(plugins, replace(EMPTY)))


def offering(distribution: str) -> PluginInfo:
    return PluginInfo(name="acme", distribution=distribution, records=(("scanner", "acme"),))


def test_a_new_plugin_is_written_and_its_folder_printed(tmp_path: Path) -> None:
    result = invoke(["plugin", "new", "scanner", "acme", "--directory", str(tmp_path)], context=installed())

    assert result.exit_code == 0, result.output
    assert result.stdout == f"{tmp_path / 'scanguard-acme'}\n"
    assert (tmp_path / "scanguard-acme" / "scanguard_acme" / "plugin.py").is_file()
    assert 'pip install -e ".[dev]"' in result.stderr
    assert "scanguard plugins" in result.stderr


def test_it_goes_into_the_working_folder_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert invoke(["plugin", "new", "policy", "acme"], context=installed()).stdout == "scanguard-policy-acme\n"
    assert (tmp_path / "scanguard-policy-acme" / "README.md").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["scanner", "Acme"], "'Acme' is no name for a plugin: a small letter first", id="name"),
        pytest.param(["scanners", "acme"], "'scanners' is not one of 'scanner', 'sink'", id="kind"),
        pytest.param(["scanner"], "Missing argument 'NAME'", id="no name"),
        pytest.param(["scanner", "acme", "--directory", "nowhere"], "'nowhere' does not exist", id="directory"),
    ],
)
def test_what_cannot_be_written_is_said_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(["plugin", "new", *arguments], context=installed())

    assert result.exit_code == 2
    assert told in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_never_touched(tmp_path: Path) -> None:
    mine = tmp_path / "scanguard-acme"
    mine.mkdir()
    result = invoke(["plugin", "new", "scanner", "acme", "--directory", str(tmp_path)], context=installed())

    assert result.exit_code == 2
    assert "is there already and is left as it is: move it away" in " ".join(result.stderr.split())
    assert not list(mine.iterdir())
    assert os.listdir(tmp_path) == ["scanguard-acme"]


def test_a_name_that_somebody_offers_already_is_refused(tmp_path: Path) -> None:
    arguments = ["plugin", "new", "scanner", "acme", "--directory", str(tmp_path)]

    taken = invoke(arguments, context=installed(offering("acme-tools")))
    again = invoke(arguments, context=installed(offering("scanguard-acme")))

    assert (taken.exit_code, again.exit_code) == (2, 0)
    assert "acme-tools offers a scanner 'acme' already" in taken.stderr


def test_the_name_of_a_built_in_is_refused(tmp_path: Path) -> None:
    context = CliContext(load_plugins=lambda environ: load_plugins(environ, ()))
    result = invoke(["plugin", "new", "policy", "threshold", "--directory", str(tmp_path)], context=context)

    assert result.exit_code == 2
    assert "offers a policy 'threshold' already" in result.stderr


def test_each_of_the_two_commands_points_at_the_other() -> None:
    assert "scanguard plugins" in invoke(["plugin", "--help"]).stdout
    assert "scanguard plugins" in invoke(["plugin", "new", "--help"]).stdout
    assert "scanguard plugin new" in invoke(["plugins", "--help"]).stdout


def test_the_help_teaches_kinds_names_and_what_comes_next() -> None:
    text = invoke(["plugin", "new", "--help"]).stdout

    for word in (
        "scanner   asks",
        "sink      keeps",
        "notifier  posts",
        "policy    judges",
        "scanguard-acme",
        "pytest",
    ):
        assert word in text
