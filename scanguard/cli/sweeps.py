"""``scanguard sweeps``: the periodic jobs, when each runs, and how to start one now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scanguard.cli.context import CliContext
from scanguard.cli.output import note, show, write
from scanguard.cli.params import format_option
from scanguard.cli.running import run
from scanguard.render.text import neutralise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from scanguard.app.sweeps import JobState
    from scanguard.cli.application import Application
    from scanguard.engine.jobs import Job
    from scanguard.render.sweeps import JobLine


@click.group(invoke_without_command=True)
@format_option("table", "json")
@click.pass_context
def sweeps(ctx: click.Context, /, *, form: str) -> None:
    """List periodic jobs, or start one now.

    Inventories, clearing up, events that others failed to deliver: each configured instance that has such a job runs
    it from time to time, in whatever worker is there.
    """
    if ctx.invoked_subcommand is not None:
        return
    from scanguard.render.sweeps import jobs_document, jobs_json

    states, now = run(_all(ctx.ensure_object(CliContext).load()))
    lines = [_line(state) for state in states]
    if form == "json":
        write(jobs_json(lines))
    else:
        show(jobs_document(lines, now=now))


@sweeps.command("run")
@click.argument("name")
@click.pass_context
def run_job(ctx: click.Context, /, *, name: str) -> None:
    """Make a job due now, by the name of its instance; one that runs goes on.

    `scanguard worker` does the work.
    """
    job = run(_start(ctx.ensure_object(CliContext).load(), name))
    if job is None:
        raise click.UsageError(f"no configured instance {neutralise(name)!r} has a periodic job: `scanguard sweeps`")
    said = "is due now" if job.step == "rest" else "is under way"
    note(f"{name} {said}. `scanguard worker` does the work.")


async def _all(app: Application) -> tuple[Sequence[JobState], datetime]:
    async with app:
        return await app.sweeps.configured(), app.backend.clock.now()


async def _start(app: Application, name: str) -> Job | None:
    async with app:
        return await app.sweeps.run(name)


def _line(state: JobState) -> JobLine:
    from scanguard.render.sweeps import JobLine

    job = state.job
    return JobLine(
        name=job.name,
        every_s=None if state.every is None else state.every.total_seconds(),
        started_at=job.started_at,
        finished_at=job.finished_at,
        next_at=None if state.every is None else job.next_at,
        is_running=job.step != "rest",
        done=job.done,
        failures=job.failures,
        failed_at=job.failed_at,
        error=job.error,
        error_kind=job.error_kind,
    )
