"""Builds the wheels of every distribution of this repository: ``build_wheels.py FOLDER``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from workspace import members


def main(target: Path) -> None:
    """Build with uv, in an isolated environment each."""
    environ = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    for member in members():
        command = [sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--python", sys.executable]
        subprocess.run([*command, "--out-dir", str(target), str(member.folder)], env=environ, check=True)
    for wheel in sorted(target.glob("*.whl")):
        print(wheel)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
