from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from scanguard.cli.root import COMMANDS, cli
from scanguard.testing.commands import invoke

_DOCUMENT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        names = COMMANDS if command is cli else command.list_commands(context)
        for child in names:
            found = command.get_command(context, child)
            assert found is not None
            yield from commands(f"{name} {child}", found)


ALL = dict(commands("scanguard", cli))


def section(name: str) -> str:
    """The text under the heading of a command, up to the next heading."""
    match = re.search(rf"^#+ `{re.escape(name)}[^`]*`$(.*?)(?=^#|\Z)", _DOCUMENT, re.MULTILINE | re.DOTALL)
    assert match, f"docs/cli.md has no heading for `{name}`"
    return match[1]


@pytest.mark.parametrize("name", ALL)
def test_every_command_and_option_is_documented(name: str) -> None:
    text = section(name)
    for parameter in ALL[name].params:
        if isinstance(parameter, click.Option):
            assert any(f"`{option}" in text for option in parameter.opts), f"{name}: {parameter.opts} is not documented"


def test_every_exit_code_is_documented_and_in_the_help() -> None:
    for text in (_DOCUMENT, invoke(["--help"]).stdout):
        for code in ("0", "2", "10", "11", "12", "70", "130"):
            assert re.search(rf"\b{code}\b", text)


@pytest.mark.parametrize("name", [name for name in ALL if name != "scanguard"])
def test_every_command_explains_itself(name: str) -> None:
    result = invoke([*name.split()[1:], "--help"])
    assert result.exit_code == 0
    assert "Usage: " + name in result.stdout


def test_the_help_lists_the_commands_with_their_descriptions() -> None:
    text = invoke(["--help"]).stdout
    for name, description in COMMANDS.items():
        assert re.search(rf"^  {name}\s+{re.escape(description)}$", text, re.MULTILINE)
