"""``scanguard explain``: the whole story of one verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scanguard.cli.context import CliContext
from scanguard.cli.output import show, write
from scanguard.cli.params import format_option
from scanguard.cli.running import run

if TYPE_CHECKING:
    from scanguard.cli.application import Application


@click.command(
    epilog="""\b
Examples:
  scanguard explain 3f9c2a
  scanguard explain nginx:1.25
  scanguard explain /subscriptions/…/containerGroups/web"""
)
@click.argument("subject", metavar="ID|RESOURCE|IMAGE")
@format_option("text", "json")
@click.pass_context
def explain(ctx: click.Context, /, *, subject: str, form: str) -> None:
    """Explain a verdict: which event, which chain and why, who found what, which rule decided, who was told.

    Takes an assessment's id (its beginning is enough), a deployment's resource id, or an image; of the last
    two the newest verdict is explained.
    """
    app = ctx.ensure_object(CliContext).load()
    run(_explain(app, subject, form))


async def _explain(app: Application, subject: str, form: str) -> None:
    from scanguard.app.stored import deliveries_of, delivery_json
    from scanguard.cli.deliveries import delivery_line
    from scanguard.cli.lookup import find_one
    from scanguard.render.explain import explain_document
    from scanguard.render.json_text import verdicts_json

    async with app:
        verdict = await find_one(app, subject)
        reports = await app.reports(verdict)
        items = await deliveries_of(app.backend, verdict.id)
        now = app.backend.clock.now()
        freshness = app.freshness(verdict)
    if form == "json":
        write(verdicts_json([verdict], reports, deliveries=[delivery_json(item) for item in items]))
    else:
        lines = [delivery_line(item, now) for item in items]
        show(explain_document(verdict, reports, now=now, deliveries=lines, freshness=freshness))
