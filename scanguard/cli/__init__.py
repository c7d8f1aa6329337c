"""Command line. Importing this package is cheap: commands, and what they need, load when they are called."""

from __future__ import annotations


def main() -> None:
    """Run ``scanguard`` with the process's arguments, and exit with the code that ``--help`` explains."""
    import io
    import sys

    from scanguard.cli.root import cli

    if isinstance(sys.stdout, io.TextIOWrapper):  # no letter of a help text may end in a traceback
        sys.stdout.reconfigure(errors="backslashreplace")
    cli.main(prog_name="scanguard")
