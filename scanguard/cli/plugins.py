"""``scanguard plugins``: what is installed, and why something is not loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scanguard.cli.context import CliContext
from scanguard.cli.output import show, write
from scanguard.cli.params import format_option

if TYPE_CHECKING:
    from scanguard.loader import PluginInfo
    from scanguard.render.plugins import PluginLine


@click.command(epilog="`scanguard plugin new` starts a plugin of your own.")
@format_option("table", "json")
@click.pass_context
def plugins(ctx: click.Context, /, *, form: str) -> None:
    """Show installed plugins: what each offers, its version and origin, and why one is not loaded."""
    from scanguard.render.plugins import plugins_document, plugins_json

    lines = [_line(info) for info in ctx.ensure_object(CliContext).plugins().plugins]
    if form == "json":
        write(plugins_json(lines))
    else:
        show(plugins_document(lines))


def _line(info: PluginInfo) -> PluginLine:
    from scanguard.render.plugins import PluginLine

    return PluginLine(
        name=info.name,
        kinds=info.kinds,
        version=info.version,
        distribution=info.distribution,
        api_version=info.api_version,
        status=info.status,
        why=info.error,
    )
