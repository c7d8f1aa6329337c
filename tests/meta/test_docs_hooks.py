"""The plugin author's guide: every hook with its signature, every error with its meaning, and code that runs."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from workspace import ROOT

import scanguard
from scanguard import errors
from scanguard.hooks import API_VERSION, Hooks
from scanguard.scaffold.files import render_files
from scanguard.scaffold.names import Kind, names_for
from scanguard.testing import contracts

pytest_plugins = "pytester"

GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
FILE = re.compile(r"^```\w+ title=\"([^\"]+)\"\n(.*?)^```", re.MULTILINE | re.DOTALL)
NOT_PRINTED = ("__init__.py", "py.typed")
CONTRACT_TEST = "tests/test_acme_contract.py"
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


def test_the_guide_prints_what_is_scaffolded() -> None:
    printed, written = FILE.findall(GUIDE), render_files(names_for(Kind.SCANNER, "acme"))
    modules = {name for name in written if name.startswith("scanguard_acme/") and not name.endswith(NOT_PRINTED)}

    assert {name for name, _ in printed} == modules | {"pyproject.toml", "tests/fake_acme.py", CONTRACT_TEST}
    for name, text in printed:
        assert text in written[name] if name == "pyproject.toml" else text == written[name], name


def test_the_guides_plugin_passes_its_contract_as_it_is_printed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {**render_files(names_for(Kind.SCANNER, "acme")), **dict(FILE.findall(GUIDE)[1:])}
    for name, text in files.items():
        path = pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["entry-points"]["scanguard"] == {"acme": "scanguard_acme.plugin"}
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    outcomes = pytester.runpytest_subprocess("-q", "-p", "no:hypothesispytest", "tests").parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] >= 25


def test_the_guides_tree_and_table_are_what_is_scaffolded() -> None:
    tree = re.search(r"^```text\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert tree
    drawn = {name for name in re.findall(r"── ([\w.]+)", tree[1]) if "." in name or name == "LICENSE"}
    written = {name.rpartition("/")[2] for name in render_files(names_for(Kind.SCANNER, "acme"))}

    assert drawn == written - {".gitignore"}
    for kind in Kind:
        names = names_for(kind, "acme")
        own = [Path(name).stem for name in render_files(names) if name.startswith(f"{names.package}/")][4:]
        modules = ", ".join(f"`{module}`" for module in own)
        assert re.search(rf"^\| `{kind}` \| `{names.distribution}` \| .+ \| {modules} \|$", GUIDE, re.MULTILINE)
