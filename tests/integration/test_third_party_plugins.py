"""Third parties' plugins, from outside: installed from wheels beside scanguard's, and used by its command line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from clean_room import CleanRoom, build_wheel
from crier_service import PATH, CrierService
from plumbline_service import PlumblineService, report_on
from workspace import ROOT

from scanguard.testing.contracts import CANARY
from scanguard.testing.server import LoopbackServer

EXAMPLES = {name: ROOT / "examples" / f"third_party_{name}" for name in ("scanner", "notifier")}
IMAGE = ROOT / "examples" / "demo" / "image.tar"
DIGEST = "sha256:691ad1927cacc16c531a3073e1d3203dcc276e6ca9d901dcdb09fa087e1845fc"
"""Of the demo's image, as its index and ``examples/demo/PROVENANCE.md`` say."""
WHAT_IS_INSTALLED = """
import json
from importlib.metadata import distributions, entry_points
print(json.dumps([
    sorted(found.name for found in distributions() if found.name.startswith(("scanguard", "pytest"))),
    sorted(point.value for point in entry_points(group="scanguard")),
]))
"""
SCANGUARD = ("scanguard", "--log-level", "debug", "--data-dir", "data")
SCAN = ("scan", "--format", "json", f"oci-archive:{IMAGE}")
FAIL, UNKNOWN = 10, 11

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> CleanRoom:
    """An environment with scanguard and both examples, each from its wheel."""
    wheels = tmp_path_factory.mktemp("wheels")
    made = CleanRoom.make(tmp_path_factory.mktemp("third-party") / "room")
    made.install(*(str(build_wheel(project, wheels)) for project in (ROOT, *EXAMPLES.values())))
    return made


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    return tmp_path


def configure(folder: Path, plumbline: str) -> None:
    """The examples' own configurations as one; only the service's address is another, and asked faster."""
    one, two = (yaml.safe_load((path / "scanguard.yaml").read_text(encoding="utf-8")) for path in EXAMPLES.values())
    one["instances"]["plumbline-eu"] |= {"url": plumbline, "poll_s": 1}
    one["instances"] |= two["instances"]
    one["chains"]["default"]["notifiers"] = two["chains"]["default"]["notifiers"]
    (folder / "scanguard.yaml").write_text(yaml.safe_dump(one), encoding="utf-8")


def test_they_bring_nothing_that_they_did_not_ask_for(room: CleanRoom) -> None:
    ours, points = json.loads(room.must_run("python", "-c", WHAT_IS_INSTALLED))

    assert ours == ["scanguard", "scanguard-notify-crier", "scanguard-plumbline"]
    assert points == ["scanguard_notify_crier.plugin", "scanguard_plumbline.plugin"]


def test_they_are_listed_with_what_they_offer(room: CleanRoom) -> None:
    document = json.loads(room.must_run("scanguard", "plugins", "--format", "json"))
    listed = {one["name"]: (one["kinds"], one["distribution"], one["status"]) for one in document["plugins"]}

    assert listed["plumbline"] == (["scanner"], "scanguard-plumbline", "loaded")
    assert listed["crier"] == (["notifier"], "scanguard-notify-crier", "loaded")


async def test_an_image_is_scanned_by_one_and_the_room_told_by_the_other(room: CleanRoom, bench: Path) -> None:
    service = PlumblineService({DIGEST: report_on(DIGEST)}, states=("queued", "429", "running", "done"), wait_s=1)
    chat = CrierService(refusals=1, wait_s=1)
    async with LoopbackServer(service.answer) as plumbline, LoopbackServer(chat.answer) as crier:
        configure(bench, plumbline.url)
        secrets = {"PLUMBLINE_TOKEN": CANARY, "CRIER_WEBHOOK": f"{crier.url}{PATH}"}
        scan = await room.run_beside(*SCANGUARD, *SCAN, cwd=bench, **secrets)
        told_at_once = len(chat.messages)
        later = await room.run_beside(*SCANGUARD, "worker", "--once", cwd=bench, **secrets)
        asked = [(request.method, request.path) for request in plumbline.requests]

    document: dict[str, Any] = json.loads(scan.out)
    (verdict,) = document["verdicts"]
    (scanner,) = verdict["images"][0]["scanners"]
    (report,) = document["reports"].values()
    assert (scan.code, later.code) == (FAIL, 0), scan.err + later.err
    assert [one["finding"]["id"] for one in report["findings"]] == ["PLUMB-2024-7"]
    assert (scanner["instance"], scanner["plugin"]) == ("plumbline-eu", "plumbline")
    assert scanner["info"]["version"] == "3.2.0"
    assert asked == [("POST", "/v1/scans")] + [("GET", "/v1/scans/scan-1")] * 4
    assert [wanted["digest"] for wanted in service.submitted] == [DIGEST]
    assert told_at_once == 0, "the room asked for a second's patience"
    assert "`scanguard worker` goes on with it" in scan.err
    assert [message["heading"].split(":")[0] for message in chat.messages] == ["FAIL"]
    assert verdict["id"][:12] in chat.messages[0]["sections"][-1]
    assert (service.rude, chat.rude) == ([], [])
    written = b"".join(path.read_bytes() for path in (bench / "data").rglob("*") if path.is_file())
    assert written
    assert CANARY not in scan.said + later.said
    assert CANARY.encode() not in written


async def test_a_service_that_knows_no_such_image_makes_it_unknown_and_the_room_hears_of_it(
    room: CleanRoom, bench: Path
) -> None:
    service, chat = PlumblineService({}), CrierService()
    async with LoopbackServer(service.answer) as plumbline, LoopbackServer(chat.answer) as crier:
        configure(bench, plumbline.url)
        secrets = {"PLUMBLINE_TOKEN": CANARY, "CRIER_WEBHOOK": f"{crier.url}{PATH}"}
        scan = await room.run_beside(*SCANGUARD, *SCAN, cwd=bench, **secrets)

    (verdict,) = json.loads(scan.out)["verdicts"]
    assert (scan.code, verdict["outcome"]) == (UNKNOWN, "unknown"), scan.err
    assert "cannot find the image" in scan.out
    assert [message["heading"].split(":")[0] for message in chat.messages] == ["UNKNOWN"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_its_own_tests_pass_against_what_is_installed(room: CleanRoom, bench: Path, name: str) -> None:
    room.install("pytest", "pytest-asyncio")
    for part in ("tests", "pyproject.toml", "README.md"):  # not the package: the wheel is what is tested
        source = EXAMPLES[name] / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, bench / part)

    assert " passed" in room.must_run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=bench)


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_is_linted_and_type_checked_against_what_is_published(room: CleanRoom, name: str) -> None:
    room.install("pytest", "pytest-asyncio", "mypy", "ruff")

    room.must_run("ruff", "check", "--no-cache", ".", cwd=EXAMPLES[name])
    said = room.must_run("mypy", cwd=EXAMPLES[name], MYPY_CACHE_DIR=str(room.folder / "mypy"))
    assert "Success: no issues found in" in said


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_needs_published_api_only(name: str) -> None:
    homes = {
        home
        for path in EXAMPLES[name].rglob("*.py")
        for home in re.findall(r"^(?:from|import) (scanguard[.\w]*)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    foreign = {home for home in homes if not home.startswith(("scanguard_plumbline", "scanguard_notify_crier"))}

    assert "scanguard" in foreign
    assert not {
        home for home in foreign if home != "scanguard" and not home.startswith(("scanguard.http", "scanguard.testing"))
    }
