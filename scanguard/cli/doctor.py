"""``scanguard doctor``: what stands in the way of a working scanguard, and what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

import click

from scanguard.cli.context import CliContext
from scanguard.cli.exit_codes import ExitCode
from scanguard.cli.output import show, write
from scanguard.cli.params import format_option

if TYPE_CHECKING:
    from scanguard.doctor import Examination

AREAS = (
    "plugins",
    "configuration",
    "secrets",
    "registries",
    "scanners",
    "delivery",
    "platforms",
    "data",
    "queue",
    "clock",
    "environment",
)
"""As in :mod:`scanguard.doctor.check`, which would cost an import of everything to show the help."""


@click.command(
    epilog="""\b
Exit codes:
  0    nothing fails; there may be warnings
  2    something fails: the configuration or anything else
  70   internal error

\b
Examples:
  scanguard doctor                                 everything
  scanguard doctor --registry shop.azurecr.io      and a registry that the configuration does not name
  scanguard doctor --only data --only queue        two areas
  scanguard doctor --format json                   for machines"""
)
@click.option(
    "--only",
    "areas",
    multiple=True,
    metavar="AREA",
    type=click.Choice(AREAS),
    help=f"Look at this area only: {', '.join(AREAS)}. Repeatable.",
)
@click.option("--registry", "registries", multiple=True, metavar="HOST", help="Look at this registry too. Repeatable.")
@click.option(
    "--insecure-registry",
    "insecure_registries",
    multiple=True,
    metavar="HOST",
    help="The same, and allow plain HTTP and private addresses for it. Repeatable.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=1, max=600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest time for everything together; a single check gets 20 s at most.",
)
@format_option("table", "json")
@click.pass_context
def doctor(
    ctx: click.Context,
    /,
    *,
    areas: tuple[str, ...],
    registries: tuple[str, ...],
    insecure_registries: tuple[str, ...],
    timeout_s: float,
    form: str,
) -> None:
    """Look at everything scanguard needs, and say what is wrong and what to do about it.

    Plugins, configuration, secrets, registries, scanners, delivery, platforms, the data folder, the queue, the
    clock, the environment. It works when nothing else does: without a configuration that can be read, with a
    damaged or locked database, on a full disk. Nothing is scanned, sent or changed, and no secret is shown.
    """
    from scanguard.app import AppOptions
    from scanguard.doctor import Question, examine

    context = ctx.ensure_object(CliContext)
    options = AppOptions(
        config=context.config_paths,
        data_dir=context.data_dir,
        insecure_registries=_hosts(insecure_registries, "--insecure-registry"),
        environ=context.environ,
    )
    question = Question(
        options=options,
        registries=_hosts(registries, "--registry"),
        areas=frozenset(areas or AREAS),
        timeout_s=timeout_s,
        load=context.load_plugins,
    )
    # Nothing that a plugin prints gets between our lines. The loader does the same during an import, and one that hangs
    # never turns the output back; leaving this block does.
    with contextlib.redirect_stdout(io.StringIO()):
        examination = asyncio.run(examine(question))
    _tell(examination, form)
    code = ExitCode.USAGE if examination.status == "fail" else ExitCode.OK
    if not examination.is_everything_over:
        _leave(code)
    ctx.exit(int(code))


def _hosts(given: tuple[str, ...], option: str) -> tuple[str, ...]:
    from scanguard.doctor.question import parse_registry

    try:
        return tuple(parse_registry(text) for text in given)
    except ValueError as exc:
        raise click.BadParameter("write host or host:port, without a scheme or a path", param_hint=option) from exc


def _tell(examination: Examination, form: str) -> None:
    from datetime import UTC, datetime
    from importlib.metadata import PackageNotFoundError, version

    from scanguard.doctor.report import examination_document, examination_json

    if form != "json":
        show(examination_document(examination))
        return
    try:
        number = version("scanguard")
    except PackageNotFoundError:
        number = ""
    write(examination_json(examination, version=number, now=datetime.now(UTC)))


def _leave(code: ExitCode) -> None:
    """End now: the interpreter would wait for a thread that a check left behind, perhaps for ever."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(int(code))
