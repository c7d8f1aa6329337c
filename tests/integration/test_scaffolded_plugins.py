"""What ``scanguard plugin new`` writes, as its author meets it: made, installed, tested, checked, built, published."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
import yaml
from clean_room import CleanRoom, build_wheel
from workspace import ROOT

from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

KINDS = {"scanner": "", "sink": "sink-", "notifier": "notify-", "policy": "policy-"}
EVERY_KIND = [pytest.param(kind, id=kind) for kind in KINDS]
CHAIN = {
    "scanners": {"use": ["acme-eu"]},
    "sinks": ["acme-store"],
    "policies": [{"plugin": "acme", "epss": 0.3}],
    "notifiers": [{"use": "acme-room"}],
}
SERVICE = {"plugin": "acme", "url": "https://acme.example", "token": "env:ACME_TOKEN"}

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> CleanRoom:
    """An environment with scanguard's wheel and a plugin of each kind, made by it and installed as its README says."""
    made = CleanRoom.make(tmp_path_factory.mktemp("scaffolded") / "room")
    made.install(str(build_wheel(ROOT, tmp_path_factory.mktemp("wheels"))))
    folders = [made.must_run("scanguard", "plugin", "new", kind, "acme").strip() for kind in KINDS]
    made.install(*(part for folder in folders for part in ("-e", f"{made.folder / folder}[dev]")))
    return made


def project(room: CleanRoom, kind: str) -> Path:
    return room.folder / f"scanguard-{KINDS[kind]}acme"


def test_all_four_are_loaded_side_by_side(room: CleanRoom) -> None:
    document = json.loads(room.must_run("scanguard", "plugins", "--format", "json"))
    found = {one["distribution"]: (one["kinds"], one["status"], one["why"]) for one in document["plugins"]}

    assert {kind: found[project(room, kind).name] for kind in KINDS} == {kind: ([kind], "loaded", "") for kind in KINDS}


def test_a_configuration_may_use_all_four(room: CleanRoom, tmp_path: Path) -> None:
    instances = dict.fromkeys(("acme-eu", "acme-store", "acme-room"), SERVICE)
    config = {"version": 1, "instances": instances, "chains": {"default": CHAIN}}
    (tmp_path / "scanguard.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    room.must_run("scanguard", "config", "check", cwd=tmp_path)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_its_tests_pass(room: CleanRoom, kind: str) -> None:
    said = room.must_run("python", "-m", "pytest", "-q", cwd=project(room, kind))

    passed = re.search(r"^(\d+) passed in", said, re.MULTILINE)
    assert passed, said
    assert int(passed[1]) >= 18, "the contract suite and the plugin's own"


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_it_is_linted_formatted_and_type_checked(room: CleanRoom, kind: str) -> None:
    room.must_run("ruff", "check", ".", cwd=project(room, kind))
    room.must_run("ruff", "format", "--check", ".", cwd=project(room, kind))
    said = room.must_run("mypy", cwd=project(room, kind), MYPY_CACHE_DIR=str(room.folder / "mypy"))

    assert "Success: no issues found in" in said


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_plugin_that_is_broken_fails_its_contract(room: CleanRoom, kind: str, tmp_path: Path) -> None:
    """The suite that passes above is not one that passes always."""
    broken = tmp_path / "broken"
    room.must_run("scanguard", "plugin", "new", kind, "acme", "--directory", str(tmp_path))
    (tmp_path / project(room, kind).name).rename(broken)
    main = broken / project(room, kind).name.replace("-", "_") / f"{kind}.py"
    text = main.read_text(encoding="utf-8")
    faulty = re.sub(
        r"^( +)(async def (?:submit|write|send|evaluate)\(.*:)$", r"\1\2\n\1    raise KeyError", text, flags=re.M
    )
    assert faulty != text
    main.write_text(faulty, encoding="utf-8")

    ended = room.run("python", "-m", "pytest", "-q", "-k", "Contract", cwd=broken, PYTHONPATH=str(broken))
    assert ended.code == 1, ended.said
    assert re.search(r"^\d+ failed, ", ended.out, re.MULTILINE), ended.said


async def test_it_is_built_and_published_as_its_readme_says(room: CleanRoom, tmp_path: Path) -> None:
    received: list[ReceivedRequest] = []

    async def index(request: ReceivedRequest) -> Answer:
        received.append(request)
        return Answer(200)

    room.must_run("scanguard", "plugin", "new", "scanner", "acme", "--directory", str(tmp_path))
    folder = tmp_path / "scanguard-acme"
    choose_a_licence(folder)
    room.must_run("python", "-m", "build", cwd=folder)
    archives = sorted(path.name for path in (folder / "dist").iterdir())
    room.must_run("twine", "check", "--strict", *(f"dist/{name}" for name in archives), cwd=folder)
    async with LoopbackServer(index) as server:
        login = {"TWINE_USERNAME": "__token__", "TWINE_PASSWORD": "pypi-0"}
        address = f"{server.url}/legacy/"
        upload = ("twine", "upload", "--non-interactive", "--disable-progress-bar", "--repository-url", address)
        uploaded = await room.run_beside(*upload, *(f"dist/{name}" for name in archives), cwd=folder, **login)

    assert uploaded.code == 0, uploaded.said
    assert archives == ["scanguard_acme-0.1.0-py3-none-any.whl", "scanguard_acme-0.1.0.tar.gz"]
    assert sorted(name for name in archives for request in received if name.encode() in request.body) == archives
    for request in received:
        assert b'name="license_expression"\r\n\r\nApache-2.0' in request.body
        assert b'name="classifiers"\r\n\r\nPrivate' not in request.body
    with zipfile.ZipFile(folder / "dist" / archives[0]) as wheel:
        names = set(wheel.namelist())
    assert {"scanguard_acme/py.typed", "scanguard_acme-0.1.0.dist-info/licenses/LICENSE"} <= names
    assert not [name for name in names if name.startswith("tests/")]


def choose_a_licence(folder: Path) -> None:
    """Step 1 of "Publish" in the README."""
    (folder / "LICENSE").write_bytes((ROOT / "LICENSE").read_bytes())
    path = folder / "pyproject.toml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    chosen = [line.removeprefix("# ") if line.startswith("# license") else line for line in lines]
    path.write_text("".join(line for line in chosen if "Do Not Upload" not in line), encoding="utf-8")
