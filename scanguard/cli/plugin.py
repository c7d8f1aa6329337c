"""``scanguard plugin new``: start a plugin of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scanguard.cli.context import CliContext
from scanguard.cli.output import note, write
from scanguard.errors import PluginError

if TYPE_CHECKING:
    from scanguard.loader import PluginInfo
    from scanguard.scaffold.names import Names

KINDS = ("scanner", "sink", "notifier", "policy")


@click.group(epilog="`scanguard plugins` lists the plugins that are installed.")
def plugin() -> None:
    """Start a plugin of your own."""


@plugin.command(
    epilog="""\b
Examples:
  scanguard plugin new scanner acme             ./scanguard-acme
  scanguard plugin new notifier acme            ./scanguard-notify-acme
  scanguard plugin new policy house-rules --directory ~/src

\b
Then, in the new folder:
  pip install -e ".[dev]"
  pytest && ruff check . && mypy
  scanguard plugins                             is it found?

What each file is for: docs/plugins.md of scanguard, "Writing a plugin"."""
)
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Where the new folder goes. [default: the working folder]",
)
@click.pass_context
def new(ctx: click.Context, /, *, kind: str, name: str, directory: Path) -> None:
    """Write a distribution with one plugin that installs, loads and passes its tests as it is.

    \b
    scanner   asks a service what is wrong with an image
    sink      keeps a copy of every verdict in a service
    notifier  posts verdicts to a service where people read them
    policy    judges images by a rule of your own

    NAME is what chains call the plugin: small letters, digits, - and _, such as acme. The folder is written whole
    or not at all, and one that is there already is never touched. It holds the plugin in small files, a contract
    test with a service to test against, settings of pytest, ruff and mypy, and a README. Its path is printed.
    """  # noqa: D301  # click's mark against re-wrapping is \b
    from scanguard.scaffold.files import render_files
    from scanguard.scaffold.folder import write_folder
    from scanguard.scaffold.names import Kind, names_for

    try:
        names = names_for(Kind(kind), name)
        _refuse_taken(names, ctx.ensure_object(CliContext).plugins().plugins)
        folder = directory / names.distribution
        files = render_files(names)
        write_folder(folder, files)
    except PluginError as exc:
        raise click.UsageError(exc.message, ctx) from exc
    _say_next(names, folder, files)


def _refuse_taken(names: Names, installed: Sequence[PluginInfo]) -> None:
    """Two records of one kind and name exclude each other; the plugin's own earlier version is no stranger."""
    for info in installed:
        if info.distribution != names.distribution and (names.kind, names.plugin) in info.records:
            raise PluginError(
                f"{info.distribution} offers a {names.kind} {names.plugin!r} already, and of two with one name neither "
                "can be used: choose another name",
                plugin=names.plugin,
            )


def _say_next(names: Names, folder: Path, files: Mapping[str, str]) -> None:
    write(f"{folder}\n")
    note(f"Wrote the {names.kind} {names.plugin}, {len(files)} files. Next:")
    for command, why in (
        (f"cd {folder}", ""),
        ('pip install -e ".[dev]"', "best in a virtual environment"),
        ("pytest && ruff check . && mypy", "all of it holds as it is"),
        ("scanguard plugins", "is it found?"),
    ):
        note(f"  {command:<32}{why}".rstrip())
    note("Then README.md says what to change, in which order, and how to publish it.")
