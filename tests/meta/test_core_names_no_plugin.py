"""The core is written against hooks: no code in it knows a plugin by name (words in docstrings may)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from workspace import ROOT, members

VENDORS = {"qualys", "trivy", "grype", "snyk", "slack", "teams", "pagerduty", "defender", "defectdojo"}
ENGLISH = re.compile("slack|teams|defender")
"""Vendors that are words too: looked for in strings and imports, not in names, where SLACK_S is spare time."""
WORDS = {"azure", "reports"}
"""Plugins whose name is a word that the core needs, such as the cloud whose events it reads; what they are built from
is looked for all the same."""
EXEMPT = ("scanguard/testing/",)
"""Samples and fakes for plugin authors name plugins as examples."""


def plugin_names() -> set[str]:
    """Every plugin of this repository by entry point and extra, and vendors that have one sooner or later.

    An extra without a distribution of ours is a part of the core that needs more libraries.
    """
    core, *plugins = members()
    optional = core.pyproject["project"]["optional-dependencies"]
    extras = {name for name, needed in optional.items() if any(one.startswith("scanguard-") for one in needed)}
    entry_points = {name for plugin in plugins for name in plugin.pyproject["project"]["entry-points"]["scanguard"]}
    return (VENDORS | extras | entry_points | {plugin.package for plugin in plugins}) - WORDS


def words_of_code(source: str) -> Iterator[tuple[int, str]]:
    """Strings and names of a module with their lines; docstrings and other strings that only stand there left out."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in prose:
                yield node.lineno, text
            case ast.Name(id=text) | ast.Attribute(attr=text) | ast.arg(arg=text):
                yield node.lineno, ENGLISH.sub("", text.lower())
            case ast.FunctionDef(name=text) | ast.AsyncFunctionDef(name=text) | ast.ClassDef(name=text):
                yield node.lineno, ENGLISH.sub("", text.lower())
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                module = getattr(node, "module", None) or ""
                yield node.lineno, " ".join([module, *(alias.name for alias in names)])


def plugins_named_in(source: str, names: set[str]) -> list[str]:
    pattern = re.compile(rf"(?<![a-z])(?:{'|'.join(sorted(names))})(?![a-z])", re.IGNORECASE)
    return [f"line {line}: {found[0]}" for line, text in words_of_code(source) if (found := pattern.search(text))]


def core_modules() -> list[Path]:
    paths = sorted((ROOT / "scanguard").rglob("*.py"))
    return [path for path in paths if not path.relative_to(ROOT).as_posix().startswith(EXEMPT)]


def test_no_code_of_the_core_names_a_plugin() -> None:
    names = plugin_names()
    found = {
        path.relative_to(ROOT).as_posix(): hits
        for path in core_modules()
        if (hits := plugins_named_in(path.read_text(encoding="utf-8"), names))
    }

    assert "osv" in names
    assert not found, f"defaults that name a plugin are data, not code: {found}"


@pytest.mark.parametrize(
    ("source", "count"),
    [
        pytest.param('"""Asks osv."""', 0, id="docstring"),
        pytest.param('DEFAULT = "osv"', 1, id="string"),
        pytest.param("from scanguard_osv import x", 1, id="import"),
        pytest.param("def scan_with_osv() -> None: ...", 1, id="function name"),
        pytest.param('X = "osvaldo"', 0, id="part of a word"),
        pytest.param("SLACK_S = 5", 0, id="an English word as a name"),
        pytest.param('X = "slack"', 1, id="the same in a string"),
    ],
)
def test_the_rule_sees_code_and_not_prose(source: str, count: int) -> None:
    assert len(plugins_named_in(source, {"osv", "scanguard_osv", "slack"})) == count
