"""The plugin author's guide: every hook with its signature, every error with its meaning, and code that runs."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Mapping

import pytest
from workspace import ROOT

import scanguard
from scanguard import errors
from scanguard.hooks import API_VERSION, Hooks
from scanguard.testing import contracts

pytest_plugins = "pytester"

GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
FILE = re.compile(r"^```\w+ title=\"([^\"]+)\"\n(.*?)^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^### `(scanguard_\w+)\((.*)\) -> (.+)`$", re.MULTILINE)


def hooks() -> Mapping[str, inspect.Signature]:
    found = {name: value for name, value in vars(Hooks).items() if name.startswith("scanguard_")}
    return {name: inspect.signature(value) for name, value in found.items()}


@pytest.mark.parametrize("hook", sorted(hooks()))
def test_each_hook_has_a_heading_with_its_exact_signature(hook: str) -> None:
    signature = hooks()[hook]
    parameters = [str(parameter) for name, parameter in signature.parameters.items() if name != "self"]
    assert f"### `{hook}({', '.join(parameters)}) -> {signature.return_annotation}`\n" in GUIDE


def test_no_heading_is_about_a_hook_that_does_not_exist() -> None:
    assert [name for name, _, _ in HEADING.findall(GUIDE)] == list(hooks())


def test_the_api_version_is_the_current_one() -> None:
    assert f"scanguard_api_version = {API_VERSION}" in GUIDE


@pytest.mark.parametrize("error", sorted(errors.ScanError.__subclasses__(), key=str))
def test_each_error_of_a_scanner_is_in_the_table_and_can_be_imported(error: type[errors.ScanError]) -> None:
    assert re.search(
        rf"^\| `{error.__name__}` \| scanners \| .+ \| {'yes' if error.is_retryable else 'no'} \|$", GUIDE, re.MULTILINE
    )
    assert error.__name__ in scanguard.__all__


def test_every_error_in_the_table_says_truly_whether_it_can_be_retried() -> None:
    rows = re.findall(r"^\| `(\w+Error)` \| .+ \| (yes|no) \|$", GUIDE, re.MULTILINE)
    assert len(rows) > 10
    assert {name: answer == "yes" for name, answer in rows} == {
        name: getattr(errors, name).is_retryable for name, _ in rows
    }


def test_each_contract_suite_is_described() -> None:
    suites = [name for name in contracts.__all__ if name.endswith("Contract") and name != "PluginContract"]
    assert suites
    assert all(f"| `{name}` |" in GUIDE for name in suites)


def test_the_guides_plugin_passes_its_contract_as_it_is_printed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = dict(FILE.findall(GUIDE))
    for name, text in {"scanguard_acme/__init__.py": "", **files}.items():
        path = pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["entry-points"]["scanguard"] == {"acme": "scanguard_acme.plugin"}
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    outcomes = pytester.runpytest_subprocess("-q", "-p", "no:hypothesispytest", "tests").parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] >= 19
