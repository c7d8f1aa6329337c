"""Command line. Importing this package is cheap: commands, and what they need, load when they are called."""

from __future__ import annotations


def main() -> None:
    """Run ``scanguard`` with the process's arguments, and exit with the code that ``--help`` explains."""
    from scanguard.cli.root import cli

    cli.main(prog_name="scanguard")
