"""Writes constraints.txt: one exact version of everything, for every supported Python, without addresses."""

from __future__ import annotations

import os
import subprocess
import sys

from workspace import ROOT, members

HEADER = "# Exact versions for development and CI, Python 3.11 to 3.13. Written by `make lock`; do not edit.\n"


def main() -> None:
    """Resolve the development requirements, the workspace's own distributions left out."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--no-header", "--no-annotate", "--upgrade", "requirements-dev.txt"]
    for member in members():
        command += ["--no-emit-package", member.name]
    environ = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    pins = subprocess.run(command, cwd=ROOT, env=environ, check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = [line for line in pins.splitlines() if line and not line.startswith(("#", "    #"))]
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"constraints.txt: {len(lines)} pins")


if __name__ == "__main__":
    main()
