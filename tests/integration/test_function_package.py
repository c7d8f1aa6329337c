"""The zip that is deployed: what is inside, what is not, and what it is refused for."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import package_function
import pytest
from function_package import Packaged, packaged
from package_function import SITE, PackageError

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]
UNCHECKED = 0b01
CONFIG = "version: 1\nbackend: {plugin: azure_storage, account: acme}\nchains: {default: {scanners: [one]}}\n"


@pytest.fixture(scope="module")
def package() -> Packaged:
    return packaged()


@pytest.fixture
def copy(package: Packaged, tmp_path: Path) -> Path:
    shutil.copytree(package.folder, tmp_path / "app", copy_function=os.link)
    return tmp_path / "app"


def test_it_holds_what_runs_and_nothing_that_only_tests_need(package: Packaged) -> None:
    files = {path.relative_to(package.folder).as_posix() for path in package.folder.rglob("*") if path.is_file()}
    site = SITE.as_posix()
    assert {"function_app.py", "host.json", f"{site}/scanguard/ports.py", f"{site}/scanguard_azure/plugin.py"} <= files
    assert not [name for name in files if name.startswith(f"{site}/scanguard/testing/")]
    assert not [name for name in files if name.startswith("tests/") or "local.settings" in name]
    assert not [name for name in files if name.endswith(("direct_url.json", "uv_cache.json"))]
    entry_points = (package.folder / SITE).glob("scanguard_*.dist-info/entry_points.txt")
    assert {path.parent.name.partition("-")[0] for path in entry_points} == {"scanguard_azure", "scanguard_qualys"}


def test_everything_is_compiled_and_believed_without_a_look_at_the_source(package: Packaged) -> None:
    tag = "cpython-313" if "3.13" in str(package.python.resolve()) else sys.implementation.cache_tag
    sources = [*package.folder.glob("*.py"), *(package.folder / SITE / "scanguard").rglob("*.py")]
    assert len(sources) > 100
    for source in sources:
        compiled = source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"
        flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
        assert flags == UNCHECKED, source


def test_no_path_of_this_machine_is_inside(package: Packaged) -> None:
    spec = importlib.util.find_spec("scanguard")
    assert spec is not None
    here = str(Path(str(spec.origin)).parent.parent).encode()
    for path in package.folder.rglob("*"):
        if path.is_file() and path.suffix in {".py", ".pyc", ".json", ".txt", ".yaml", ""}:
            assert here not in path.read_bytes(), path


def test_the_same_tree_gives_the_same_bytes(copy: Path, tmp_path: Path) -> None:
    shutil.rmtree(copy / SITE)
    package_function._zip(copy, tmp_path / "one.zip")
    os.utime(copy / "host.json", (1, 1))
    package_function._zip(copy, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@pytest.mark.parametrize(
    ("instances", "name"),
    [
        pytest.param("instances: {one: {plugin: trivy}}\n", "trivy", id="a plugin of another extra"),
        pytest.param("instances: {one: {plugin: scripted, latencey_s: 1}}\n", "latencey_s", id="an unknown option"),
    ],
)
def test_a_configuration_that_cannot_work_with_it_is_refused_by_name(
    package: Packaged, copy: Path, instances: str, name: str
) -> None:
    (copy / "scanguard.yaml").write_text(CONFIG + instances)
    with pytest.raises(PackageError, match=name):
        package_function.check(copy, ["azure", "qualys"], str(package.python), {})


def test_a_configuration_that_works_is_stamped(package: Packaged, copy: Path) -> None:
    (copy / "scanguard.yaml").write_text(CONFIG + "instances: {one: {plugin: scripted}}\n")
    package_function.check(copy, ["azure", "qualys"], str(package.python), {"SCANGUARD__engine__attempts": "3"})
    assert (copy / "scanguard.stamp.json").exists()


def test_an_extra_that_should_be_inside_and_is_not_is_named(package: Packaged, copy: Path) -> None:
    with pytest.raises(PackageError, match="the entry point of the plugin 'trivy' is not in the package"):
        package_function.check(copy, ["azure", "trivy"], str(package.python), {})
    with pytest.raises(PackageError, match="no extra 'trivvy'"):
        package_function.check(copy, ["trivvy"], str(package.python), {})


def test_without_the_deployed_python_the_running_one_is_taken_and_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setattr(package_function, "VERSION", (3, 99))
    assert package_function.find_python() == sys.executable
    assert "there is no Python 3.99 here" in capsys.readouterr().err
