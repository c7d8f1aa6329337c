"""The page about testing plugins: its samples run, and it lists every clause of every suite and every strategy."""

from __future__ import annotations

import inspect
import re

import pytest
from workspace import ROOT

from scanguard import testing
from scanguard.testing import contracts, strategies

pytest_plugins = "pytester"

PAGE = (ROOT / "docs" / "testing-plugins.md").read_text(encoding="utf-8")
FILE = re.compile(r"^```python title=\"([^\"]+)\"\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONFIGURATION = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
SUITES = [name for name in contracts.__all__ if name.endswith("Contract")]
SAMPLES = dict(FILE.findall(PAGE))


def clauses(suite: str) -> set[str]:
    """The clauses a suite has beyond those that every plugin's has."""
    found = {name for name, _ in inspect.getmembers(getattr(contracts, suite)) if name.startswith("test_")}
    is_kind = suite != "PluginContract" and issubclass(getattr(contracts, suite), contracts.PluginContract)
    return found - clauses("PluginContract") if is_kind else found


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_is_described_clause_by_clause(suite: str) -> None:
    section = PAGE.partition(f"\n### `{suite}`\n")[2].partition("\n### ")[0].partition("\n## ")[0]
    named = re.findall(r"^\|[^`\n]*`(test_\w+)` \|", section, re.MULTILINE)

    assert sorted(named) == sorted(clauses(suite))


def test_every_fake_and_strategy_that_the_page_names_exists() -> None:
    fakes = set(re.findall(r"from scanguard\.testing import ([\w, ]+)", PAGE))
    named = {name.strip() for line in fakes for name in line.split(",")} - {"strategies"}
    assert named
    assert named <= set(testing.__all__)
    listed = PAGE.partition("\n## Strategies\n")[2].partition("```")[0]
    made = {
        name
        for name, one in inspect.getmembers(strategies, callable)
        if one.__module__ == strategies.__name__ and name[0] != "_"
    }
    assert made == set(re.findall(r"`(\w+)(?:\([^`]*\))?`", listed)) - {"scanguard"}


def test_every_sample_passes_as_it_is_printed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    (configuration,) = CONFIGURATION.findall(PAGE)
    (pytester.path / "pyproject.toml").write_text(configuration, encoding="utf-8")
    for name, text in SAMPLES.items():
        (pytester.path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    ended = pytester.runpytest_subprocess("-q", "-rA", "-p", "no:cacheprovider")

    assert set(ended.parseoutcomes()) == {"passed"}
    tests = [name for name in SAMPLES if name.startswith("test_")]
    assert len(tests) >= 9
    for name in tests:
        ended.stdout.fnmatch_lines([f"PASSED {name}::*"])
