"""pytest over files of a folder, in a process of its own.

pytest's own ``pytester`` fixture forgets every module that was first imported while it was in use: later tests
then meet a second copy of the HTTP library, whose exceptions are not the first one's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CONFIGURATION = (
    '[tool.pytest.ini_options]\nasyncio_default_fixture_loop_scope = "function"\nfilterwarnings = ["error"]\n'
)


@dataclass(frozen=True, slots=True)
class InnerRun:
    """What a run gave: its exit code and everything it printed."""

    code: int
    out: str

    @property
    def outcomes(self) -> dict[str, int]:
        """How many tests passed, failed … as the last line says."""
        last = self.out.strip().splitlines()[-1] if self.out.strip() else ""
        return {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", last.partition(" in ")[0])}


def run_pytest(folder: Path, *arguments: str) -> InnerRun:
    """Run pytest in a folder, whose modules can be imported."""
    (folder / "pytest.ini").write_text(CONFIGURATION, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *arguments]
    environ = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(  # noqa: S603  # our own interpreter
        command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    return InnerRun(done.returncode, done.stdout + done.stderr)
