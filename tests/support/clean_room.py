"""Environments with nothing in them but what was asked for, and the wheels to ask for."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from workspace import ROOT

_QUIET = {"UV_PYTHON_DOWNLOADS": "never", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
_KEPT = ("PATH", "SSL_CERT_FILE", "LANG", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """All it wrote."""
        return f"{self.out}\n{self.err}"


@dataclass(frozen=True, slots=True)
class CleanRoom:
    """A virtual environment and a home of its own."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> CleanRoom:
        """A new one, without pip."""
        folder.mkdir(parents=True)
        must_run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], folder)
        (folder / "home").mkdir()
        return cls(folder)

    def program(self, name: str) -> str:
        """The path of a program in the environment."""
        return str(self.folder / "venv" / "bin" / name)

    def install(self, *requirements: str) -> None:
        """Install, in the versions that development is pinned to."""
        install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", self.program("python")]
        must_run([*install, "-c", str(ROOT / "constraints.txt"), *requirements], self.folder)

    def environ(self, **more: str) -> dict[str, str]:
        """The environment variables of a command here: nothing of the caller's that could reach scanguard."""
        kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith("PIP_")}
        own = {"HOME": str(self.folder / "home"), "PATH": f"{self.folder / 'venv' / 'bin'}:{kept.get('PATH', '')}"}
        return {**kept, **own, "NO_COLOR": "1", **more}

    def run(self, *command: str, cwd: Path | None = None, **environ: str) -> Ended:
        """Run a program of the environment."""
        return run([self.program(command[0]), *command[1:]], cwd or self.folder, self.environ(**environ))

    def must_run(self, *command: str, cwd: Path | None = None, **environ: str) -> str:
        """Run a program that has to succeed; what it wrote to standard output."""
        ended = self.run(*command, cwd=cwd, **environ)
        assert ended.code == 0, f"{' '.join(command)}:\n{ended.said}"
        return ended.out

    async def run_beside(self, *command: str, cwd: Path, **environ: str) -> Ended:
        """Run a program while the event loop serves what it talks to; ended with the test that started it."""
        child = await asyncio.create_subprocess_exec(
            self.program(command[0]), *command[1:], cwd=cwd, env=self.environ(**environ),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        return Ended(child.returncode or 0, out.decode(), err.decode())


def build_wheel(project: Path, target: Path) -> Path:
    """Build the wheel of one distribution in an isolated environment."""
    before = set(target.glob("*.whl"))
    build = [sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--python", sys.executable]
    must_run([*build, "--out-dir", str(target), str(project)], target)
    (wheel,) = set(target.glob("*.whl")) - before
    return wheel


def run(command: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> Ended:
    """Run a command to its end."""
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)  # noqa: S603  # our own arguments
    return Ended(done.returncode, done.stdout, done.stderr)


def must_run(command: Sequence[str], cwd: Path) -> None:
    """Run a command that has to succeed, with the caller's own environment."""
    ended = run(command, cwd, {**os.environ, **_QUIET})
    assert ended.code == 0, f"{' '.join(command)}:\n{ended.said}"
