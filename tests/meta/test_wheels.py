"""The wheels that users get: what is in them, and what a clean environment has after installing them."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from workspace import ROOT, Member, members

CORE, *PLUGINS = members()
ENTRY_POINTS = """
import json
from importlib.metadata import distributions, entry_points
print(json.dumps({
    "entry points": {point.name: point.value for point in entry_points(group="scanguard")},
    "ours": sorted(d.name for d in distributions() if d.name.startswith("scanguard")),
}))
"""

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    run(sys.executable, str(ROOT / "tools" / "build_wheels.py"), str(folder))
    return folder


def test_there_is_one_wheel_for_each_distribution(wheels: Path) -> None:
    expected = {f"{member.package}-{member.version}-py3-none-any.whl" for member in members()}

    assert {path.name for path in wheels.glob("*.whl")} == expected


@pytest.mark.parametrize("member", [pytest.param(member, id=member.name) for member in members()])
def test_a_wheel_is_typed_and_licensed_and_holds_its_package_alone(wheels: Path, member: Member) -> None:
    with zipfile.ZipFile(wheel_of(wheels, member)) as wheel:
        names = wheel.namelist()
    info = f"{member.package}-{member.version}.dist-info"

    assert f"{member.package}/py.typed" in names
    assert f"{info}/licenses/LICENSE" in names
    assert {name.split("/")[0] for name in names} == {member.package, info}
    assert not [name for name in names if "tests" in name.split("/") or name.endswith(".pyc")]


@pytest.mark.parametrize("member", [pytest.param(member, id=member.name) for member in members()])
def test_a_wheel_holds_every_file_of_its_package(wheels: Path, member: Member) -> None:
    package = member.folder / member.package
    sources = {path.relative_to(member.folder).as_posix() for path in package.rglob("*") if path.is_file()}
    expected = {name for name in sources if "__pycache__" not in name}

    with zipfile.ZipFile(wheel_of(wheels, member)) as wheel:
        assert expected <= set(wheel.namelist())


def test_the_core_alone_brings_no_plugin_and_starts(wheels: Path, tmp_path: Path) -> None:
    python = clean_environment(tmp_path, wheels, str(wheel_of(wheels, CORE)))

    found = json.loads(run(python, "-c", ENTRY_POINTS))

    assert found == {"entry points": {}, "ours": ["scanguard"]}
    assert CORE.version in run(str(Path(python).with_name("scanguard")), "--version")


@pytest.mark.parametrize("plugin", [pytest.param(plugin, id=plugin.name) for plugin in PLUGINS])
def test_an_extra_brings_its_plugin_and_no_other(wheels: Path, tmp_path: Path, plugin: Member) -> None:
    points = plugin.pyproject["project"]["entry-points"]["scanguard"]
    (extra,) = points
    python = clean_environment(tmp_path, wheels, f"{CORE.name}[{extra}] @ {wheel_of(wheels, CORE).as_uri()}")

    found = json.loads(run(python, "-c", ENTRY_POINTS))

    assert found == {"entry points": points, "ours": sorted([CORE.name, plugin.name])}
    run(python, "-c", f"import {points[extra]}")
    assert CORE.version in run(str(Path(python).with_name("scanguard")), "--version")


def clean_environment(folder: Path, wheels: Path, requirement: str) -> str:
    """A new environment with one requirement; our own distributions come from the wheels and nowhere else."""
    venv = folder / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", str(venv))
    python = str(venv / "bin" / "python")
    own = folder / "own.txt"
    lines = [f"{plugin.name} @ {wheel_of(wheels, plugin).as_uri()}" for plugin in PLUGINS]
    own.write_text("\n".join(lines), encoding="utf-8")
    constraints = ("-c", str(ROOT / "constraints.txt"), "-c", str(own))
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *constraints, requirement)
    return python


def wheel_of(wheels: Path, member: Member) -> Path:
    (wheel,) = wheels.glob(f"{member.package}-{member.version}-*.whl")
    return wheel


def run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603  # our own arguments
    assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
    return done.stdout
