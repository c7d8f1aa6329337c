"""The ``scanguard`` command: global options, and commands that load when they are called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import click

from scanguard.cli.context import CliContext
from scanguard.cli.exit_codes import HELP
from scanguard.telemetry import FORMATS, LEVELS


def _module(command: str) -> str:
    return command.replace("-", "_")


_BUILT_IN: Final = {
    "scan": "Scan images and judge them.",
    "event": "Take deployment events from a file, and wait for their verdicts.",
    "results": "List stored verdicts, or what runs a vulnerability now.",
    "explain": "Explain a verdict, from event to delivery.",
    "worker": "Go on with accepted work.",
    "dead-letters": "List, replay or drop what was given up.",
    "sweeps": "List periodic jobs, or start one now.",
    "cancel": "Stop work that has no verdict yet.",
    "serve": "Take deployment events over HTTP, and work on them.",
    "config": "Write, check and explain the configuration.",
    "plugins": "Show installed plugins, and why one is not loaded.",
    "doctor": "Look for what is wrong, and say what to do about it.",
    "plugin": "Start a plugin of your own.",
    "completion": "Print the completion script of a shell.",
}
COMMANDS: Final = {name: help for name, help in _BUILT_IN.items() if find_spec(f"scanguard.cli.{_module(name)}")}
"""Built-in commands in the order of a first day; each is ``scanguard.cli.NAME:NAME``, with ``_`` for ``-``."""

EPILOG: Final = f"""\b
Examples:
  scanguard scan python:3.12-slim          scan an image of any registry
  scanguard event deployment.json          judge what a deployment event names
  scanguard results --vulnerability CVE-2021-44228
  scanguard explain 3f9c2a                 why was it decided like that?

{HELP}

`scanguard COMMAND --help` tells more."""


class LazyGroup(click.Group):
    """Knows its commands by name; imports one when it is called, and a plugin's only then.

    It is also where errors end: whatever a command raises becomes words and an exit code.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Built-in commands, then those of plugins."""
        return [*COMMANDS, *self._plugin_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when nobody has it."""
        if cmd_name in COMMANDS:
            return _imported(cmd_name)
        from scanguard.cli.plugin_commands import plugin_command

        return plugin_command(_with_options(ctx), cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name beside an unknown one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            hint = _nearest(args[0], self.list_commands(ctx))
            raise click.UsageError(f"{exc.format_message()}{hint}", ctx) from exc

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        if plugins := self._plugin_commands(ctx):
            with formatter.section("Commands of plugins"):
                formatter.write_dl(list(plugins.items()))

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's own signature
        """Run, and turn an error into words and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.UsageError):
            raise
        except (Exception, KeyboardInterrupt) as exc:  # the last line of defence, told as an internal error
            from scanguard.cli.errors import report

            ctx.exit(int(report(exc)))

    def _plugin_commands(self, ctx: click.Context) -> dict[str, str]:
        from scanguard.cli.plugin_commands import plugin_command_summaries

        return plugin_command_summaries(ctx.ensure_object(CliContext), taken=COMMANDS)


def _with_options(ctx: click.Context) -> CliContext:
    """The context with the global options; a plugin's command is built before the group itself runs."""
    given = ctx.ensure_object(CliContext)
    config_paths = tuple(ctx.params.get("config_paths") or ()) or given.config_paths
    return replace(given, config_paths=config_paths, data_dir=ctx.params.get("data_dir") or given.data_dir)


def _imported(name: str) -> click.Command:
    command = getattr(import_module(f"scanguard.cli.{_module(name)}"), _module(name))
    if not isinstance(command, click.Command):
        raise TypeError(f"scanguard.cli.{name}:{name} is no command")
    return command


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    found = get_close_matches(name, list(known), n=1)
    return f" Did you mean {found[0]!r}?" if found else ""


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"scanguard {version('scanguard')}")
    ctx.exit()


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_paths",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Configuration; repeatable, later files win. [default: $SCANGUARD_CONFIG, else ./scanguard.yaml]",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where queue, results and databases are kept. [default: $SCANGUARD_DATA_DIR, else the user's]",
)
@click.option(
    "--log-level",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="warning",
    show_default=True,
    help="What is logged to standard error.",
)
@click.option(
    "--log-format",
    type=click.Choice(FORMATS),
    default="text",
    envvar="SCANGUARD_LOG_FORMAT",
    help="One line a record: key=value, or JSON. [default: $SCANGUARD_LOG_FORMAT, else text]",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(
    ctx: click.Context,
    /,
    *,
    config_paths: tuple[Path, ...],
    data_dir: Path | None,
    log_level: str,
    log_format: str,
) -> None:
    """Scan every container image that starts running; judge it, act on it, tell its owners.

    Without a configuration, images are scanned with what is installed and judged by the default chain.
    """
    from scanguard.telemetry.logs import configure_logs

    ctx.obj = _with_options(ctx)
    configure_logs(log_level, log_format)
