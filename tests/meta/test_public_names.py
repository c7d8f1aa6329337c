"""What plugin authors import is there, is typed, and costs nothing before it is touched."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import scanguard


def test_every_public_name_resolves_and_has_a_docstring() -> None:
    for name in scanguard.__all__:
        found = getattr(scanguard, name)
        if inspect.isclass(found) or inspect.isfunction(found):
            assert found.__doc__, f"{name} has no docstring"


def test_what_type_checkers_see_is_what_there_is() -> None:
    tree = ast.parse(Path(scanguard.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module for node in ast.walk(block) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == scanguard._HOME_OF


def test_importing_the_package_loads_none_of_it() -> None:
    code = "import sys, scanguard; print([m for m in sys.modules if m.startswith(('scanguard.', 'pydantic', 'httpx'))])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603  # our own code
    assert found.stdout.strip() == "[]"


def test_all_is_what_there_is() -> None:
    assert set(scanguard.__all__) == set(scanguard._HOME_OF)
    assert len(scanguard.__all__) == len(set(scanguard.__all__))
