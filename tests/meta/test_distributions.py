"""The distributions of this repository fit together, and every list that must name them does."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from workspace import ROOT, Member, members

CORE, *PLUGINS = members()
EVERY_PLUGIN = [pytest.param(plugin, id=plugin.name) for plugin in PLUGINS]


@pytest.fixture(scope="module")
def tools() -> dict[str, Any]:
    tables: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    return tables


def test_every_distribution_has_the_same_version_licence_and_pythons() -> None:
    facts = {
        member.name: tuple(member.pyproject["project"][key] for key in ("version", "license", "requires-python"))
        for member in members()
    }

    assert len(set(facts.values())) == 1, facts


def test_the_changelog_has_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert re.search(rf"^## \[?{re.escape(CORE.version)}\]?", changelog, re.MULTILINE)


@pytest.mark.parametrize("plugin", EVERY_PLUGIN)
def test_an_extra_pulls_the_plugin_in_this_version(plugin: Member) -> None:
    (extra,) = plugin.pyproject["project"]["entry-points"]["scanguard"]
    extras = CORE.pyproject["project"]["optional-dependencies"]
    (requirement,) = map(Requirement, extras[extra])

    assert requirement.name == plugin.name
    assert Version(plugin.version) in requirement.specifier
    assert any(extra in Requirement(entry).extras for entry in extras["all"])


@pytest.mark.parametrize("plugin", EVERY_PLUGIN)
def test_a_plugin_works_with_this_core_and_has_what_its_wheel_needs(plugin: Member) -> None:
    requirements = [Requirement(entry) for entry in plugin.pyproject["project"]["dependencies"]]
    core = next(requirement for requirement in requirements if requirement.name == CORE.name)

    assert Version(CORE.version) in core.specifier
    assert (plugin.folder / plugin.package / "py.typed").exists()
    assert (plugin.folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (plugin.folder / "README.md").stat().st_size > 0


@pytest.mark.parametrize("plugin", EVERY_PLUGIN)
def test_the_checks_and_the_set_up_know_a_plugin(plugin: Member, tools: dict[str, Any]) -> None:
    forbidden = [
        contract["forbidden_modules"]
        for contract in tools["importlinter"]["contracts"]
        if "forbidden_modules" in contract
    ]

    assert plugin.package in tools["mypy"]["packages"]
    assert plugin.package in tools["importlinter"]["root_packages"]
    assert any(plugin.package in modules for modules in forbidden)
    assert f"-e ./{plugin.folder.relative_to(ROOT).as_posix()}" in lines_of("requirements.txt")
    assert tools["uv"]["sources"][plugin.name] == {"workspace": True}


def test_the_constraints_pin_every_dependency_and_hold_no_address() -> None:
    lines = lines_of("constraints.txt")
    pinned = {canonicalize_name(re.split(r"==", line)[0]) for line in lines}
    named = [entry for member in members() for entry in member.pyproject["project"]["dependencies"]]
    for name in ("requirements-dev.txt", "requirements-docs.txt"):
        named += [line for line in lines_of(name) if not line.startswith("-")]
    ours = {member.name for member in members()}

    missing = {canonicalize_name(Requirement(entry).name) for entry in named} - pinned - ours
    assert not missing, f"run `make lock`: {missing}"
    assert not [line for line in lines if "//" in line or "@" in line or "==" not in line]


def lines_of(name: str) -> list[str]:
    text = Path(ROOT / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
