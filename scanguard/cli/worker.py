"""``scanguard worker``: drives accepted work until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Final

import click

from scanguard.cli.context import CliContext
from scanguard.cli.output import note
from scanguard.cli.running import run
from scanguard.ports import ALL_LANES, Lane

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scanguard.cli.application import Application

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


@click.command()
@click.option("--once", is_flag=True, help="Stop when nothing is pending, instead of waiting for more.")
@click.option(
    "--lane",
    "lanes",
    multiple=True,
    type=click.Choice([lane.value for lane in ALL_LANES]),
    help="Take only this kind of work; repeatable, the most urgent first. `heavy` needs disk and CPU, `bulk` can wait. "
    "[default: fresh, heavy, bulk]",
)
@click.pass_context
def worker(ctx: click.Context, /, *, once: bool, lanes: tuple[str, ...]) -> None:
    """Go on with accepted work: scans, verdicts, deliveries.

    Several workers may run at once. SIGINT or SIGTERM ends it with 0: the step in hand is given up and taken
    up again by the next worker.
    """
    context = ctx.ensure_object(CliContext)
    app = context.load()
    chosen = tuple(Lane(lane) for lane in dict.fromkeys(lanes)) or ALL_LANES
    with app.observed():
        run(_work(app, once, chosen, context.environ))


async def _work(app: Application, once: bool, lanes: Sequence[Lane], environ: Mapping[str, str]) -> None:
    from scanguard.cli.progress import progress_listener

    async with app:
        with progress_listener(environ) as listen:
            work = asyncio.create_task(app.work(lanes=lanes, progress=listen, idle_exit=once))
            stopped = await _until_signal(work)
    note("Stopped; what is pending stays for the next worker." if stopped else "Nothing is pending.")


async def _until_signal(work: asyncio.Task[None]) -> bool:
    """Wait for the work, or for a signal to stop; True when a signal came first."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in _STOPPING:
        loop.add_signal_handler(number, stop.set)
    signalled = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((work, signalled), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
            return False
        _forget_signals(loop)  # a second Ctrl-C does not wait for the clean-up
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return True
    finally:
        work.cancel()
        signalled.cancel()
        _forget_signals(loop)


def _forget_signals(loop: asyncio.AbstractEventLoop) -> None:
    for number in _STOPPING:
        loop.remove_signal_handler(number)
