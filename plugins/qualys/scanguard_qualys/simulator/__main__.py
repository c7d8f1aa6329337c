"""``python -m scanguard_qualys.simulator``: serve a scenario until interrupted."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import click
import yaml
from pydantic import ValidationError

from scanguard_qualys.simulator.scenario import Scenario
from scanguard_qualys.simulator.server import STATE, QualysSimulator


@click.command(
    help=f"""Serve a simulated Qualys account over HTTPS on 127.0.0.1, until interrupted.

    Knows the on-demand contract (HTTP Basic) and the public Container Security API (token). What it was asked is at
    {STATE}. Without --script every image is known, and its result is there three minutes after it was asked for."""
)
@click.option("--port", type=click.IntRange(0, 65_535), default=8443, show_default=True, help="0 takes a free one.")
@click.option("--script", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The scenario, as YAML.")
@click.option("--speed", type=click.FloatRange(0.01, 100_000), help="How much faster simulated time goes.")
@click.option(
    "--ca-file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("qualys-simulator-ca.pem"),
    show_default=True,
    help="Where to write the certificate to trust.",
)
def main(port: int, script: Path | None, speed: float | None, ca_file: Path) -> None:
    """Serve until interrupted."""
    scenario = _scenario(script)
    if speed is not None:
        scenario = scenario.model_copy(update={"speed": speed})
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(scenario, port, ca_file))


def _scenario(script: Path | None) -> Scenario:
    if script is None:
        return Scenario()
    try:
        return Scenario.model_validate(yaml.safe_load(script.read_text(encoding="utf-8")) or {})
    except (yaml.YAMLError, ValidationError, UnicodeDecodeError) as exc:
        raise click.ClickException(f"{script} is no scenario: {exc}") from exc


async def _serve(scenario: Scenario, port: int, ca_file: Path) -> None:
    try:
        async with QualysSimulator(scenario, port=port, ca_file=ca_file) as simulator:
            click.echo(f"url: {simulator.url}")
            click.echo(f"username: {scenario.username}")
            click.echo(f"password: {scenario.password}")
            click.echo(f"certificate to trust: {ca_file}")
            click.echo(f"what it was asked: {simulator.url}{STATE}")
            await asyncio.Event().wait()
    except OSError as exc:
        raise click.ClickException(f"cannot listen on port {port}: {exc.strerror}; try --port 0") from exc


if __name__ == "__main__":
    main()
