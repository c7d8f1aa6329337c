"""``scanguard osv``: import an export, see what the database holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from scanguard.hooks import PluginContext
from scanguard_osv.config import DATABASE_NAME
from scanguard_osv.database import EcosystemInfo, open_database
from scanguard_osv.importing import SourceSummary, import_exports

_SHOWN_PROBLEMS = 5

_PIPE_WIDTH = 160


def build(context: PluginContext) -> click.Command:
    """The command group; ``context`` gives the data folder and the time."""

    @click.group("osv", help="Import and inspect OSV advisories.")
    def group() -> None:
        pass

    database = click.option(
        "--database",
        type=click.Path(path_type=Path, dir_okay=False),
        default=context.data_dir / DATABASE_NAME,
        show_default=True,
        help="The database file.",
    )

    @group.command("import")
    @click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
    @click.option(
        "--ecosystem",
        "ecosystems",
        multiple=True,
        metavar="NAME",
        help="What the export is an export of, such as Debian; seen from its records if not given.",
    )
    @database
    def import_(paths: tuple[Path, ...], ecosystems: tuple[str, ...], database: Path) -> None:
        """Import exports of osv.dev: zip files, folders of JSON files, JSON or JSON-lines files.

        An ecosystem that was imported before is replaced. Get exports from
        https://osv-vulnerabilities.storage.googleapis.com/ECOSYSTEM/all.zip
        """
        with _progress() as progress:
            task = progress.add_task("reading", total=None)
            summaries = import_exports(
                paths,
                database,
                now=context.clock.now(),
                ecosystems=ecosystems,
                on_record=lambda _: progress.advance(task),
            )
        _tell_problems(summaries)
        _print_table(_ecosystems(database))

    @group.command("status")
    @click.option("--format", "output", type=click.Choice(("table", "json")), default="table", show_default=True)
    @database
    def status(output: str, database: Path) -> None:
        """Show which ecosystems the database holds, how many records, and of which date."""
        with open_database(database) as opened:
            ecosystems, releases = opened.ecosystems(), opened.releases()
        if output == "json":
            click.echo(json.dumps(_document(database, ecosystems, releases), indent=2))
        else:
            _print_table(ecosystems)

    return group


def _progress() -> Progress:
    """A count of records on stderr; nothing when stderr is no terminal."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:.0f} records"), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _tell_problems(summaries: Sequence[SourceSummary]) -> None:
    for summary in summaries:
        for entry, problem in summary.problems[:_SHOWN_PROBLEMS]:
            click.echo(f"{summary.source}: {entry}: {problem}", err=True)
        if summary.problems:
            click.echo(
                f"{summary.source}: {len(summary.problems)} records cannot be read; coverage of "
                f"{', '.join(summary.bases)} will be partial",
                err=True,
            )
        for base, count in sorted(summary.left_out.items()):
            click.echo(f"{summary.source}: {count} records name {base} too; import its own export for that", err=True)


def _ecosystems(database: Path) -> Sequence[EcosystemInfo]:
    with open_database(database) as opened:
        return opened.ecosystems()


def _print_table(ecosystems: Sequence[EcosystemInfo]) -> None:
    table = Table("ecosystem", "records", "withdrawn", "unreadable", "newest record", "imported", "from")
    for info in ecosystems:
        counts = (str(info.records), str(info.withdrawn), str(info.broken))
        dates = (f"{info.newest_modified:%Y-%m-%d}", f"{info.imported_at:%Y-%m-%d %H:%M}")
        table.add_row(info.base, *counts, *dates, info.source)
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width to keep to
        console = Console(width=_PIPE_WIDTH)
    console.print(table)


def _document(
    database: Path, ecosystems: Sequence[EcosystemInfo], releases: Sequence[tuple[str, int]]
) -> dict[str, object]:
    return {
        "database": str(database),
        "ecosystems": [
            {
                "ecosystem": info.base,
                "source": info.source,
                "records": info.records,
                "withdrawn": info.withdrawn,
                "unreadable": info.broken,
                "newest_modified": info.newest_modified.isoformat(),
                "imported_at": info.imported_at.isoformat(),
            }
            for info in ecosystems
        ],
        "releases": dict(releases),
    }
