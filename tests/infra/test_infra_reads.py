"""No Bicep compiler runs here: what it would refuse, as far as a tree shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from bicep import INFRA, Bicep, all_files

FILES = {path.relative_to(INFRA).as_posix(): Bicep(path) for path in all_files()}
TEMPLATES = {name: file for name, file in FILES.items() if name.endswith(".bicep")}
PARAMETERS = {name: file for name, file in FILES.items() if name.endswith(".bicepparam")}


def test_the_templates_are_found() -> None:
    assert {"main.bicep", "spoke.bicep", "modules/function.bicep"} <= set(TEMPLATES)
    assert set(PARAMETERS) == {"main.example.bicepparam", "spoke.example.bicepparam"}


@pytest.mark.parametrize("name", FILES)
def test_the_syntax_is_whole(name: str) -> None:
    assert FILES[name].errors == []


@pytest.mark.parametrize("broken", ["param x string = {", "resource a 'T@1' = {\n  name: \n}\n", "var x = [\n"])
def test_broken_syntax_would_be_seen(broken: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.bicep"
    path.write_text(broken)

    assert Bicep(path).errors


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_name_is_declared(name: str) -> None:
    assert TEMPLATES[name].undeclared == set()


def test_a_name_that_nothing_declares_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "typo.bicep"
    path.write_text("param location string\noutput where string = locatoin\n")

    assert Bicep(path).undeclared == {"locatoin"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_parameter_is_used(name: str) -> None:
    assert set(TEMPLATES[name].parameters) - TEMPLATES[name].used == set()


@pytest.mark.parametrize("name", TEMPLATES)
def test_modules_are_given_exactly_what_they_ask_for(name: str) -> None:
    for module in TEMPLATES[name].modules:
        asked = _target(name, module.kind).parameters
        given = set(module.body["params"])

        assert given <= set(asked), f"{module.symbol}: {module.kind} has no {given - set(asked)}"
        assert {key for key, must in asked.items() if must} <= given, f"{module.symbol}: a parameter is missing"


@pytest.mark.parametrize("name", TEMPLATES)
def test_outputs_that_are_read_exist(name: str) -> None:
    modules = {module.symbol: module.kind for module in TEMPLATES[name].modules}

    for module, output in TEMPLATES[name].members:
        assert output in _target(name, modules[module]).outputs, f"{module}.outputs.{output}"


@pytest.mark.parametrize("name", PARAMETERS)
def test_examples_give_what_the_template_asks_for(name: str) -> None:
    given = set(PARAMETERS[name].variables)
    asked = TEMPLATES[name.replace(".example.bicepparam", ".bicep")].parameters

    assert given <= set(asked)
    assert {key for key, must in asked.items() if must} <= given


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_resource_says_which_version_of_its_api_it_means(name: str) -> None:
    for resource in TEMPLATES[name].resources:
        nested = "/" not in resource.kind
        assert nested or "@20" in resource.kind, resource.kind


def _target(name: str, path: str) -> Bicep:
    return Bicep((INFRA / name).parent / path)
