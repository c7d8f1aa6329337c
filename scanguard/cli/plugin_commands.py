"""Commands of plugins: listed by description, built only when called; a broken plugin breaks nothing else."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

import click

from scanguard.errors import PluginContractError, ScanguardError

if TYPE_CHECKING:
    from scanguard.cli.context import CliContext
    from scanguard.hooks import CommandSpec


def plugin_command_summaries(context: CliContext, taken: Container[str]) -> dict[str, str]:
    """Names and descriptions of plugins' commands; empty, and said, when plugins cannot be loaded at all.

    A plugin cannot take a built-in command's name (``taken``).
    """
    from scanguard.cli.output import note

    try:
        commands = context.catalog().commands
    except ScanguardError as exc:
        note(f"Plugins cannot be loaded: {exc.message}")
        return {}
    return {name: commands[name].description for name in sorted(commands) if name not in taken}


def plugin_command(context: CliContext, name: str) -> click.Command | None:
    """Build a plugin's command; None when no plugin offers one of this name."""
    spec = context.catalog().commands.get(name)
    return None if spec is None else _built(spec, context)


def _built(spec: CommandSpec, context: CliContext) -> click.Command:
    try:
        command = spec.build(context.plugin_context(spec.name))
    except ScanguardError:
        raise
    except Exception as exc:
        raise PluginContractError(
            f"the command {spec.name!r} could not be built ({type(exc).__name__}): update the plugin that offers it",
            plugin=spec.name,
        ) from exc
    if not isinstance(command, click.Command):
        raise PluginContractError(
            f"the command {spec.name!r} is a {type(command).__name__}, not a click command: update its plugin",
            plugin=spec.name,
        )
    return command
