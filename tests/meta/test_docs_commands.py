"""Commands in the documentation exist: every ``scanguard …`` line of a console block parses, option by option."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from workspace import ROOT

CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)


def documents() -> list[Path]:
    pages = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("plugins/*/README.md"),
        *ROOT.glob("examples/*/README.md"),
    ]
    return sorted(pages)


def commands(first: str) -> Iterator[tuple[str, str]]:
    """Where a command stands, and the command without its prompt; long ones may go on after a backslash."""
    for page in documents():
        for block in CONSOLE.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                command = line.removeprefix("$ ")
                if line.startswith("$ ") and command.split()[0] == first:
                    yield page.relative_to(ROOT).as_posix(), command


def as_params(first: str) -> list[object]:
    return [pytest.param(command, id=f"{page}: {command}") for page, command in commands(first)]


@pytest.mark.parametrize("command", as_params("scanguard"))
def test_a_documented_command_parses(command: str) -> None:
    from scanguard.cli.root import cli  # noqa: PLC0415  # the command line is what is tested, not what collects

    check(cli, click.Context(cli, info_name="scanguard"), shlex.split(command)[1:])


@pytest.mark.parametrize("command", as_params("make"))
def test_a_documented_make_target_exists(command: str) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))

    assert command.split()[1] in targets


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("scan --no-such-option x", id="unknown option"),
        pytest.param("scan --format yaml x", id="unknown choice"),
        pytest.param("scan", id="missing argument"),
        pytest.param("nonsense", id="unknown command"),
    ],
)
def test_a_wrong_command_is_seen(command: str) -> None:
    from scanguard.cli.root import cli  # noqa: PLC0415  # as above

    with pytest.raises(click.UsageError):
        check(cli, click.Context(cli, info_name="scanguard"), shlex.split(command))


def check(command: click.Command, context: click.Context, arguments: list[str]) -> None:
    """Raise UsageError unless options, choices and the number of arguments fit; files need not be there."""
    context.allow_interspersed_args = not isinstance(command, click.Group)
    given, rest, _ = command.make_parser(context).parse_args(list(arguments))
    for parameter in command.get_params(context):
        values = texts_of(given.get(str(parameter.name)))
        if isinstance(parameter, click.Argument) and parameter.required and not values:
            raise click.MissingParameter(ctx=context, param=parameter)
        if isinstance(parameter.type, click.Choice):
            for value in values:
                parameter.type.convert(value, parameter, context)
    if isinstance(command, click.Group) and rest:
        name, child, remaining = command.resolve_command(context, rest)
        assert child is not None
        check(child, click.Context(child, info_name=name, parent=context), remaining)
    elif rest:
        raise click.UsageError(f"unexpected arguments {rest}", context)


def texts_of(given: object) -> list[str]:
    """What was given for a parameter; what click puts in for nothing differs from version to version."""
    if isinstance(given, str):
        return [given]
    return [one for one in given if isinstance(one, str)] if isinstance(given, list | tuple) else []
