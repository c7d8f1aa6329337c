"""``scanguard scan IMAGE…``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scanguard.cli.context import CliContext
from scanguard.cli.params import judging_options
from scanguard.cli.running import run

if TYPE_CHECKING:
    from scanguard.cli.application import Application
    from scanguard.cli.judging import Judged
    from scanguard.model.image import Platform


@click.command(
    epilog="""\b
Examples:
  scanguard scan python:3.12-slim
  scanguard scan --platform linux/arm64 ghcr.io/acme/web@sha256:…
  scanguard scan --offline oci-archive:build/image.tar
  scanguard scan --format json nginx:1.25 > report.json"""
)
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--force", is_flag=True, help="Scan again, although an earlier scan is still fresh.")
@judging_options
@click.pass_context
def scan(
    ctx: click.Context,
    /,
    *,
    images: tuple[str, ...],
    force: bool,
    scanners: tuple[str, ...],
    offline: bool,
    platform: Platform | None,
    insecure_registries: tuple[str, ...],
    limit: int,
    form: str,
) -> None:
    """Scan images and judge them by the chain that applies.

    IMAGE is a reference to a registry (python:3.12, ghcr.io/acme/web@sha256:…), or what a build left on this
    machine: oci:DIR, oci-archive:FILE, docker-archive:FILE.
    """
    from scanguard.cli.judging import tell

    context = ctx.ensure_object(CliContext)
    app = context.load(offline=offline, scanners=scanners, platform=platform, insecure_registries=insecure_registries)
    judged = run(_scan(app, images, force, context))
    ctx.exit(int(tell(judged, form=form, limit=limit)))


async def _scan(app: Application, images: tuple[str, ...], force: bool, context: CliContext) -> Judged:
    from scanguard.cli.judging import judge
    from scanguard.telemetry.events import acting

    async with app:
        with acting("cli"):
            ids = await app.accept_images(images, force=force)
        return await judge(app, ids, context.environ)
