"""``scanguard event FILE``: the whole pipeline for events from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import click

from scanguard.cli.context import CliContext
from scanguard.cli.exit_codes import ExitCode, worst_code
from scanguard.cli.output import note, write
from scanguard.cli.params import judging_options
from scanguard.cli.running import run
from scanguard.errors import EventError
from scanguard.ports import Lane

if TYPE_CHECKING:
    from scanguard.app import Accepted
    from scanguard.cli.application import Application
    from scanguard.cli.judging import Judged
    from scanguard.model.image import Platform


@click.command(
    epilog="""\b
Examples:
  scanguard event deployment.json
  az eventgrid … | scanguard event -
  scanguard event --no-wait burst.json && scanguard worker --once"""
)
@click.argument("file", type=click.File("rb"))
@click.option("--no-wait", is_flag=True, help="Only accept: print the ids, and leave the work to `scanguard worker`.")
@click.option("--bulk", is_flag=True, help="Work that can wait: it uses only what fresh deployments leave.")
@judging_options
@click.pass_context
def event(
    ctx: click.Context,
    /,
    *,
    file: BinaryIO,
    no_wait: bool,
    bulk: bool,
    scanners: tuple[str, ...],
    offline: bool,
    platform: Platform | None,
    insecure_registries: tuple[str, ...],
    limit: int,
    form: str,
) -> None:
    """Take deployment events from FILE (- for standard input), and wait for their verdicts.

    The file holds one event or a list, in the Event Grid or the CloudEvents schema. Events of another kind are
    skipped, and it is said; a broken one is rejected, and ends with 2 unless others went through.
    """
    context = ctx.ensure_object(CliContext)
    payload = read_payload(file)
    app = context.load(offline=offline, scanners=scanners, platform=platform, insecure_registries=insecure_registries)
    accepted, judged = run(_take(app, payload, no_wait, Lane.BULK if bulk else Lane.FRESH, context))
    ctx.exit(int(_tell(accepted, judged, form=form, limit=limit)))


def read_payload(file: BinaryIO) -> bytes:
    """The bytes of a file, or EventError when there are too many."""
    from scanguard.intake import MAX_PAYLOAD_BYTES

    payload = file.read(MAX_PAYLOAD_BYTES + 1)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise EventError(f"the events are larger than {MAX_PAYLOAD_BYTES:,} bytes: send them in several files")
    return payload


async def _take(
    app: Application, payload: bytes, no_wait: bool, lane: Lane, context: CliContext
) -> tuple[Accepted, Judged | None]:
    from scanguard.cli.judging import judge

    async with app:
        accepted = await app.accept(payload, lane=lane)
        for sentence in accepted.skipped:
            note(f"Skipped: {sentence}")
        for sentence in accepted.rejected:
            note(f"Rejected: {sentence}")
        if no_wait or not accepted.ids:
            return accepted, None
        return accepted, await judge(app, accepted.ids, context.environ)


def _tell(accepted: Accepted, judged: Judged | None, *, form: str, limit: int) -> ExitCode:
    from scanguard.cli.judging import tell

    codes = [ExitCode.USAGE] if accepted.rejected and not accepted.ids else []
    if judged is None:
        _tell_accepted(accepted, form)
    else:
        codes.append(tell(judged, form=form, limit=limit))
    return worst_code(codes)


def _tell_accepted(accepted: Accepted, form: str) -> None:
    from scanguard.render.json_text import verdicts_json

    if form == "json":
        write(verdicts_json([], {}, accepted=list(accepted.ids)))
    elif accepted.ids:
        write("".join(f"{id}\n" for id in accepted.ids))
