"""Set-up says clearly what is missing, and repairs what was interrupted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workspace import ROOT

REQUIREMENTS = ("requirements.txt", "requirements-dev.txt", "requirements-docs.txt")
NEEDED = ("tools/set_up.sh", *REQUIREMENTS, "constraints.txt", "pyproject.toml")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a space in its name that has what set-up reads, and no dependencies to install."""
    folder = tmp_path / "a checkout"
    for name in NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in REQUIREMENTS:
        (folder / name).write_text("", encoding="utf-8")
    (folder / "plugins" / "none").mkdir(parents=True)
    (folder / "plugins" / "none" / "pyproject.toml").write_text("", encoding="utf-8")
    return folder


def set_up(checkout: Path, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHON": python, "VENV": ".venv"}
    command = ["sh", str(checkout / "tools" / "set_up.sh"), "run"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603  # our own script


def fake_python(folder: Path, version: str) -> str:
    program = folder / "python"
    program.write_text(f'#!/bin/sh\n[ "$1" = -V ] && echo "Python {version}" && exit 0\nexit 1\n', encoding="utf-8")
    program.chmod(0o755)
    return str(program)


def test_a_python_that_is_too_old_is_named(checkout: Path, tmp_path: Path) -> None:
    done = set_up(checkout, fake_python(tmp_path, "3.9.2"))

    assert done.returncode == 2
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
    assert "Python 3.9.2" in done.stderr


def test_a_python_that_is_not_there_is_said(checkout: Path) -> None:
    done = set_up(checkout, "/nowhere/python3")

    assert done.returncode == 2
    assert "/nowhere/python3" in done.stderr


@pytest.mark.integration
@pytest.mark.slow
def test_set_up_does_nothing_twice_and_repairs_what_was_interrupted(checkout: Path) -> None:
    first, second = set_up(checkout), set_up(checkout)
    (checkout / ".venv" / ".set-up-run").unlink()
    shutil.rmtree(next((checkout / ".venv" / "lib").glob("python*")) / "site-packages" / "pip")
    repaired, last = set_up(checkout), set_up(checkout)

    assert "Making .venv" in first.stdout, first.stderr
    assert second.stdout == ""
    assert "Making .venv" in repaired.stdout
    assert last.stdout == ""
    assert {done.returncode for done in (first, second, repaired, last)} == {0}


@pytest.mark.integration
@pytest.mark.slow
def test_other_requirements_are_installed_without_being_asked(checkout: Path) -> None:
    set_up(checkout)
    (checkout / "constraints.txt").write_text("# newer\n", encoding="utf-8")

    changed = set_up(checkout)

    assert changed.returncode == 0
    assert "Installing requirements.txt" in changed.stdout
    assert "Making" not in changed.stdout
