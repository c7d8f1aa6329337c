"""``scanguard cancel``: stops work on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scanguard.cli.context import CliContext
from scanguard.cli.output import note
from scanguard.cli.running import run
from scanguard.render.text import neutralise

if TYPE_CHECKING:
    from scanguard.cli.application import Application


@click.command()
@click.argument("id")
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept.")
@click.pass_context
def cancel(ctx: click.Context, /, *, id: str, reason: str) -> None:
    """Stop the assessment ID that has no verdict yet.

    It becomes a dead letter that says so, and can be replayed. A scan that other deployments wait for goes on.
    """
    if not run(_cancel(ctx.ensure_object(CliContext).load(), id, reason)):
        raise click.UsageError(
            f"nothing to stop: {neutralise(id)!r} is no assessment under way (give its whole id; "
            "`scanguard explain` tells of those that were judged)"
        )
    note("Stopped. `scanguard dead-letters replay` takes it up again.")


async def _cancel(app: Application, id: str, reason: str) -> bool:
    from scanguard.telemetry.events import acting

    async with app:
        with app.observed(), acting("cli"):
            return await app.dead_letters.cancel(id, reason)
