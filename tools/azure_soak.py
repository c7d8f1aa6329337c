"""Kill workers and a function app at random while the storage below them fails, then check every promise.

Storage is a real Azurite behind a network that cuts, swallows answers, and puts every message in twice; Resource
Manager and the scanner refuse one call in five. Ends with 1 when a promise was broken.
Example: python tools/azure_soak.py --deployments 200 --digests 30 --shared 40
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from dataclasses import fields
from pathlib import Path

from workspace import ROOT

sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "plugins" / "azure" / "tests" / "support")]

from azure_soaking.plan import AzurePlan  # noqa: E402  # below what makes the tests' parts importable
from azure_soaking.run import azure_soak  # noqa: E402  # as above
from azure_soaking.table import azure_table  # noqa: E402  # as above


def main(arguments: list[str]) -> int:
    """Run a soak; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for field in fields(AzurePlan):
        kind = type(field.default)
        how = {"action": argparse.BooleanOptionalAction} if kind is bool else {"type": kind, "metavar": kind.__name__}
        parser.add_argument(f"--{field.name.replace('_', '-')}", default=field.default, **how)
    parser.add_argument("--folder", type=Path, help="where to work, kept afterwards; by default a temporary one")
    options = vars(parser.parse_args(arguments))
    given: Path | None = options.pop("folder")
    try:
        plan = AzurePlan(**options)
    except ValueError as exc:
        parser.error(str(exc))
    folder = given or Path(tempfile.mkdtemp(prefix="azure-soak-"))
    soaked, hardships = asyncio.run(azure_soak(plan, folder))
    print(azure_table(soaked, hardships))
    if given or not soaked.is_kept:
        print(f"\nEverything is in {folder}")
    else:
        shutil.rmtree(folder)
    return 0 if soaked.is_kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
