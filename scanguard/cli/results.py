"""``scanguard results``: stored verdicts, by what people ask."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from scanguard.cli.context import CliContext
from scanguard.cli.output import note, show, write
from scanguard.cli.params import SinceType, format_option
from scanguard.cli.running import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scanguard.cli.application import Application
    from scanguard.model.merged import MergedReport
    from scanguard.model.verdict import Verdict
    from scanguard.ports import RecordQuery

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "NEGLIGIBLE")


@click.command(
    epilog="""\b
Examples:
  scanguard results --since 24h --severity high
  scanguard results --image registry.example/shop/web
  scanguard results --vulnerability CVE-2021-44228"""
)
@click.option("--image", metavar="IMAGE", help="A repository (every tag of it), a reference, or a digest.")
@click.option(
    "--since",
    type=SinceType(),
    metavar="WHEN",
    help="Decided since: 30m, 24h, 7d, 2w, 2024-01-15, or ISO 8601 (UTC unless it says otherwise).",
)
@click.option(
    "--severity",
    type=click.Choice(SEVERITIES, case_sensitive=False),
    help="With at least one finding of this severity or above.",
)
@click.option(
    "--vulnerability",
    metavar="ID",
    help="What runs this vulnerability (CVE, GHSA, any alias) now, by each deployment's latest verdict.",
)
@click.option("--resource", metavar="ID", help="Of one deployment, by its resource id.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1, max=10_000),
    default=50,
    show_default=True,
    help="Most verdicts listed, newest first.",
)
@format_option("table", "json")
@click.pass_context
def results(
    ctx: click.Context,
    /,
    *,
    image: str | None,
    since: datetime | None,
    severity: str | None,
    vulnerability: str | None,
    resource: str | None,
    limit: int,
    form: str,
) -> None:
    """List stored verdicts, newest first; every condition given must hold."""
    from scanguard.model.severity import Severity
    from scanguard.ports import RecordQuery

    query = RecordQuery(
        image=image,
        resource=resource,
        since=since,
        severity=Severity(severity.upper()) if severity else None,
        vulnerability=vulnerability,
        limit=limit,
    )
    app = ctx.ensure_object(CliContext).load()
    verdicts, reports, now = run(_query(app, query))
    _tell(query, verdicts, reports, now, form)


async def _query(
    app: Application, query: RecordQuery
) -> tuple[Sequence[Verdict], Mapping[str, MergedReport], datetime]:
    from scanguard.app.stored import by_image, still_there

    async with app:
        verdicts = await (by_image(app.backend, query) if query.image else app.backend.records.query(query))
        if query.vulnerability:
            verdicts = still_there(verdicts)
        reports: dict[str, MergedReport] = {}
        for verdict in verdicts if query.vulnerability else ():
            reports.update(await app.reports(verdict))
        return verdicts, reports, app.backend.clock.now()


def _tell(
    query: RecordQuery, verdicts: Sequence[Verdict], reports: Mapping[str, MergedReport], now: datetime, form: str
) -> None:
    from scanguard.render.json_text import verdicts_json
    from scanguard.render.results import affected_document, results_document

    if form == "json":
        write(verdicts_json(verdicts, reports))
    elif query.vulnerability:
        show(affected_document(query.vulnerability, verdicts, reports, now=now))
    else:
        show(results_document(verdicts, now=now))
    if len(verdicts) >= query.limit:
        note(f"Only the newest {query.limit:,} are listed; --limit lists more.")
