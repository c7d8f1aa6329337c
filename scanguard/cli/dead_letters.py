"""``scanguard dead-letters``: what was given up, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scanguard.cli.context import CliContext
from scanguard.cli.output import note, show, write
from scanguard.cli.params import format_option
from scanguard.cli.running import run
from scanguard.render.text import count, neutralise, short_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from scanguard.cli.application import Application
    from scanguard.engine.dead import DeadLetter

KINDS = ("assessment", "scan", "delivery")
kind_option = click.option(
    "--kind", type=click.Choice(KINDS), help="Only deployments never judged, failed scans, or failed deliveries."
)


@click.group("dead-letters")
def dead_letters() -> None:
    """List, inspect, replay or drop what was given up.

    A deployment that could not be judged, a scan that failed, a delivery that nobody took: each stays here, with
    its reason, until it succeeds, is replayed, or is dropped.
    """


@dead_letters.command("list")
@kind_option
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1, max=10_000),
    default=50,
    show_default=True,
    help="Most letters listed, newest first.",
)
@format_option("table", "json")
@click.pass_context
def list_letters(ctx: click.Context, /, *, kind: str | None, limit: int, form: str) -> None:
    """List them, newest first."""
    from scanguard.app.dead_letters import shown
    from scanguard.render.dead_letters import letters_document, letters_json

    letters, now = run(_all(ctx.ensure_object(CliContext).load(), kind, limit))
    if form == "json":
        write(letters_json([shown(letter) for letter in letters]))
    else:
        show(letters_document([shown(letter) for letter in letters], now=now))
    if len(letters) >= limit:
        note(f"Only the newest {limit:,} are listed; --limit lists more.")


@dead_letters.command("show")
@click.argument("id")
@format_option("text", "json")
@click.pass_context
def show_letter(ctx: click.Context, /, *, id: str, form: str) -> None:
    """Show one, by its id or the beginning of it: what failed, why, and what to do."""
    from scanguard.app.dead_letters import shown
    from scanguard.render.dead_letters import letter_document, letters_json

    letters, now = run(_chosen(ctx.ensure_object(CliContext).load(), (id,)))
    if form == "json":
        write(letters_json([shown(letter) for letter in letters]))
    else:
        show(letter_document(shown(letters[0]), now=now))


@dead_letters.command(
    epilog="""\b
Examples:
  scanguard dead-letters replay 3f9c2a
  scanguard dead-letters replay --all --kind scan && scanguard worker --once"""
)
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them, or all of --kind.")
@kind_option
@click.pass_context
def replay(ctx: click.Context, /, *, ids: tuple[str, ...], everything: bool, kind: str | None) -> None:
    """Take them up again, each from its start, when what broke them is mended.

    `scanguard worker` does the work. A scan that succeeds completes every verdict that lacked it.
    """
    if bool(ids) == everything:
        raise click.UsageError("name the ids of letters, or say --all")
    app = ctx.ensure_object(CliContext).load()
    number = run(_replay(app, ids, kind))
    note(f"{count(number, 'letter')} replayed." + (" `scanguard worker` does the work." if number else ""))


@dead_letters.command()
@click.argument("ids", nargs=-1, required=True)
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept.")
@click.pass_context
def drop(ctx: click.Context, /, *, ids: tuple[str, ...], reason: str) -> None:
    """Let them rest. The reason stays with what they are about."""
    letters = run(_drop(ctx.ensure_object(CliContext).load(), ids, reason))
    note(f"{count(len(letters), 'letter')} dropped.")


async def _all(app: Application, kind: str | None, limit: int) -> tuple[Sequence[DeadLetter], datetime]:
    from scanguard.engine.dead import DeadKind

    async with app:
        letters = await app.dead_letters.all(DeadKind(kind) if kind else None, limit=limit)
        return letters, app.backend.clock.now()


async def _chosen(app: Application, ids: Sequence[str]) -> tuple[Sequence[DeadLetter], datetime]:
    async with app:
        return [await _one(app, id) for id in ids], app.backend.clock.now()


async def _replay(app: Application, ids: Sequence[str], kind: str | None) -> int:
    from scanguard.engine.dead import DeadKind
    from scanguard.telemetry.events import acting

    async with app:
        if ids:
            letters: Sequence[DeadLetter] = [await _one(app, id) for id in ids]
        else:
            letters = await app.dead_letters.all(DeadKind(kind) if kind else None)
        with app.observed(), acting("cli"):
            await app.dead_letters.replay(letters)
        return len(letters)


async def _drop(app: Application, ids: Sequence[str], reason: str) -> Sequence[DeadLetter]:
    from scanguard.telemetry.events import acting

    async with app:
        letters = [await _one(app, id) for id in ids]
        with app.observed(), acting("cli"):
            await app.dead_letters.drop(letters, reason)
        return letters


async def _one(app: Application, id: str) -> DeadLetter:
    found = await app.dead_letters.matching(id)
    if len(found) == 1:
        return found[0]
    if not found:
        raise click.UsageError(f"no dead letter begins with {neutralise(id)!r}: `scanguard dead-letters list`")
    ids = ", ".join(short_id(letter.id) for letter in found[:5])
    raise click.UsageError(f"several dead letters begin with {neutralise(id)}: {ids}")
