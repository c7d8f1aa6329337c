"""``scanguard serve``: events over HTTP, and a worker in the same process."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import click

from scanguard.cli.context import CliContext
from scanguard.cli.output import note, write
from scanguard.cli.running import run
from scanguard.errors import ConfigError

if TYPE_CHECKING:
    from scanguard.app import App

_NEEDED: Final = ("starlette", "uvicorn", "jwt", "cryptography")


@click.command(
    epilog="""\b
Examples:
  scanguard serve                                  on this machine only, without credentials
  scanguard serve --host 0.0.0.0 --port 8080       needs server.keys or server.entra in the configuration
  scanguard serve --no-worker                      with `scanguard worker` elsewhere"""
)
@click.option("--host", metavar="ADDRESS", help="Address to listen on. [default: server.host, else 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    metavar="PORT",
    help="Port; 0 takes a free one. [default: server.port, else 8080]",
)
@click.option("--no-worker", is_flag=True, help="Only accept, and leave the work to `scanguard worker`.")
@click.pass_context
def serve(ctx: click.Context, /, *, host: str | None, port: int | None, no_worker: bool) -> None:
    """Take deployment events over HTTP, work on them, and offer verdicts as JSON.

    An event is acknowledged when it is durable. SIGINT or SIGTERM ends it with 0: requests in hand are finished,
    the step in hand is given up and taken up again by the next worker. A second signal ends it at once.
    """
    _require_libraries()
    context = ctx.ensure_object(CliContext)
    app = _loaded(context)
    with app.observed():
        run(_serve(app, host, port, no_worker))


async def _serve(app: App, host: str | None, port: int | None, no_worker: bool) -> None:
    from scanguard.server.run import serve as serve_app

    settings = app.settings.server.with_address(host, port)

    def announce(url: str) -> None:
        write(f"Listening on {url}\n")

    await serve_app(app, settings, work=not no_worker, announce=announce)
    note("Stopped; what is pending stays for the next worker.")


def _loaded(context: CliContext) -> App:
    from scanguard.app import App

    app = context.load()
    if not isinstance(app, App):
        raise TypeError("the server runs the whole application only")
    return app


def _require_libraries() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f'`scanguard serve` needs more libraries ({", ".join(missing)}): pip install "scanguard[serve]"'
        )
