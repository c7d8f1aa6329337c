"""Kill real workers at random while they judge thousands of deployments, then check every promise.

Ends with 1 when one was broken. Example: python tools/soak.py --deployments 500 --digests 50 --shared 100
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

from soaking.plan import Plan
from soaking.run import soak
from soaking.table import table


def main(arguments: list[str]) -> int:
    """Run a soak; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for field in fields(Plan):
        kind = type(field.default)
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=kind, default=field.default, metavar=kind.__name__
        )
    parser.add_argument("--folder", type=Path, help="where to work, kept afterwards; by default a temporary one")
    options = vars(parser.parse_args(arguments))
    given: Path | None = options.pop("folder")
    try:
        plan = Plan(**options)
    except ValueError as exc:
        parser.error(str(exc))
    folder = given or Path(tempfile.mkdtemp(prefix="soak-"))
    soaked = asyncio.run(soak(plan, folder))
    print(table(soaked))
    if given or not soaked.is_kept:
        print(f"\nEverything is in {folder}")
    else:
        shutil.rmtree(folder)
    return 0 if soaked.is_kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
