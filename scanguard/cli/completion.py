"""``scanguard completion SHELL``: click's own completion scripts."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from scanguard.cli.output import write

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
Examples:
  scanguard completion bash > ~/.local/share/bash-completion/completions/scanguard
  scanguard completion zsh > ~/.zfunc/_scanguard
  scanguard completion fish > ~/.config/fish/completions/scanguard.fish"""
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, /, *, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover  # the choice above names click's own three
        raise click.UsageError(f"no completion for {shell}")
    script = kind(ctx.find_root().command, {}, "scanguard", "_SCANGUARD_COMPLETE")
    write(script.source() + "\n")
