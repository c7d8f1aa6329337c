"""``scanguard doctor`` as people and machines meet it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from examining import built_ins

from scanguard.cli.context import CliContext
from scanguard.cli.doctor import AREAS as OFFERED
from scanguard.doctor import AREAS, Check, Examination, Status
from scanguard.doctor.report import examination_document
from scanguard.render.document import words
from scanguard.render.draw import Canvas, draw
from scanguard.testing.commands import invoke
from scanguard.testing.registry import FakeRegistry

GOOD = """
version: 1
instances: {calm: {plugin: scripted}, files: {plugin: json_files}}
chains: {default: {scanners: [calm], sinks: [files]}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scanguard.yaml").write_text(GOOD)
    return tmp_path


def doctor(folder: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> Any:
    environ = {"SCANGUARD_DATA_DIR": str(folder / "data"), **(environ or {})}
    context = CliContext(environ=environ, load_plugins=built_ins)
    options = ["--config", str(folder / "scanguard.yaml")]
    return invoke([*options, "doctor", *arguments], context=context)


def test_the_areas_that_are_offered_are_those_there_are() -> None:
    assert OFFERED == AREAS


def test_each_area_has_its_chapter() -> None:
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    chapters = [line.removeprefix("## ") for line in page.splitlines() if line.startswith("## ")]
    assert [chapter for chapter in chapters if chapter in AREAS] == list(AREAS)


def test_a_good_set_up_ends_with_0_and_says_what_was_seen(folder: Path) -> None:
    result = doctor(folder)
    assert result.exit_code == 0, result.output
    titles = [line for line in result.stdout.splitlines() if line in AREAS]
    assert titles == list(AREAS)
    assert "0 failed, 0 warned, " in result.stdout.splitlines()[-1]


def test_a_warning_does_not_fail(folder: Path) -> None:
    result = doctor(folder, environ={"HTTPS_PROXY": "http://proxy.example"})
    assert result.exit_code == 0
    assert "WARN  proxies: HTTPS_PROXY set, and ignored" in result.stdout
    assert "0 failed, 1 warned, " in result.stdout


def test_something_that_fails_ends_with_2_and_its_remedy_stands_below(folder: Path) -> None:
    (folder / "data").write_text("not a folder")
    result = doctor(folder)
    assert result.exit_code == 2
    lines = result.stdout.splitlines()
    (number,) = (n for n, line in enumerate(lines) if "is no folder" in line)
    assert lines[number].strip().startswith("FAIL  folder: ")
    assert "→ remove what is there, or choose another folder with --data-dir" in lines[number + 1]


def test_the_json_is_as_documented(folder: Path) -> None:
    (folder / "scanguard.yaml").write_text(GOOD + "unknown: 1\n")
    result = doctor(folder, "--format", "json")
    document = json.loads(result.stdout)
    assert result.exit_code == 2
    assert set(document) == {"schema_version", "version", "time", "status", "counts", "checks"}
    assert (document["schema_version"], document["status"]) == (1, "fail")
    assert set(document["counts"]) == {"ok", "warn", "fail", "skipped"}
    assert sum(document["counts"].values()) == len(document["checks"])
    for check in document["checks"]:
        assert set(check) == {"area", "subject", "status", "detail", "remedy"}
        assert bool(check["remedy"]) == (check["status"] in {"warn", "fail"})


def test_only_what_is_asked_for_is_looked_at(folder: Path) -> None:
    document = json.loads(doctor(folder, "--only", "data", "--only", "clock", "--format", "json").stdout)
    assert {check["area"] for check in document["checks"]} == {"data", "clock"}


async def test_a_registry_of_the_command_line_is_looked_at(folder: Path) -> None:
    async with FakeRegistry() as registry:
        child = await asyncio_child(folder, "--only", "registries", "--insecure-registry", registry.host)
    assert child == (0, f"{registry.host}")
    assert [request.target for request in registry.requests] == ["/v2/"]


async def asyncio_child(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run in a thread, as the simulator answers in this loop; the exit code and the first subject."""
    import asyncio  # noqa: PLC0415  # for this helper alone

    result = await asyncio.to_thread(doctor, folder, *arguments, "--format", "json")
    return result.exit_code, json.loads(result.stdout)["checks"][0]["subject"]


@pytest.mark.parametrize("host", ["https://shop.example", "shop.example/web", "", "a b"])
def test_what_is_no_registry_is_refused_before_anything_is_looked_at(folder: Path, host: str) -> None:
    result = doctor(folder, "--registry", host)
    assert result.exit_code == 2
    assert "write host or host:port" in result.stderr
    assert result.stdout == ""


def test_the_help_says_what_the_exit_codes_mean() -> None:
    text = invoke(["doctor", "--help"]).stdout
    assert "0    nothing fails; there may be warnings" in text
    assert "2    something fails" in text


# --- drawing --------------------------------------------------------------------------------------------------


HOSTILE = Examination(
    (
        Check("data", "folder", Status.OK, "a long line " * 20),
        Check("data", "evil \x1b[31m", Status.FAIL, "it says \x07 \u202e things", "do \x1b]0;title\x07 this"),
    )
)


def test_a_narrow_terminal_wraps_and_nothing_is_lost() -> None:
    drawn = draw(examination_document(HOSTILE), Canvas(width=40))
    assert max(map(len, drawn.splitlines())) <= 40
    assert drawn.count("line") == 20


def test_foreign_text_cannot_command_the_terminal_and_colour_is_optional() -> None:
    plain = draw(examination_document(HOSTILE), Canvas())
    assert not set("\x1b\x07\u202e") & set(plain)
    assert "\x1b[31m" in draw(examination_document(HOSTILE), Canvas(colour=True))
    assert words(examination_document(HOSTILE)).splitlines()[-1] == "1 failed, 0 warned, 1 ok, 0 skipped"


# --- a process ------------------------------------------------------------------------------------------------


BLOCKING = """
import threading, time
from scanguard.hooks import PluginConfig, ScannerSpec, hookimpl
from scanguard.model.report import ScannerInfo

scanguard_api_version = 1


class Blocking:
    async def info(self):
        import asyncio
        print("c4n4ry in the output")
        await asyncio.to_thread(time.sleep, 3600)

    async def aclose(self):
        pass


@hookimpl
def scanguard_scanners():
    yield ScannerSpec("blocking", PluginConfig, lambda config, context: Blocking())
"""


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scanguard", "--data-dir", str(folder / "data"), "doctor", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SCANGUARD")}
    return subprocess.run(  # noqa: S603  # our own program
        command, capture_output=True, text=True, check=False, timeout=50, cwd=folder, env={**clean, **environ}
    )


def test_a_plugin_that_never_ends_does_not_keep_the_process(tmp_path: Path) -> None:
    (tmp_path / "scanguard_blocking.py").write_text(BLOCKING)
    (tmp_path / "scanguard.yaml").write_text(
        "version: 1\ninstances: {a: {plugin: blocking}, b: {plugin: scripted}}\nchains: {default: {scanners: [a, b]}}\n"
    )
    started = time.monotonic()
    environ = {"SCANGUARD_PLUGINS": "scanguard_blocking", "PYTHONPATH": str(tmp_path)}
    done = run(tmp_path, "--only", "scanners", "--timeout", "4", **environ)
    assert time.monotonic() - started < 30
    assert done.returncode == 2, done.stderr
    assert "FAIL  a: " in done.stdout
    assert "ok    b: " in done.stdout
    assert "c4n4ry" not in done.stdout


def test_an_import_that_never_ends_is_told_and_the_data_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "scanguard_asleep.py").write_text("import time\ntime.sleep(3600)\n")
    environ = {"SCANGUARD_PLUGINS": "scanguard_asleep", "PYTHONPATH": str(tmp_path)}
    done = run(tmp_path, "--only", "plugins", "--only", "data", "--timeout", "3", **environ)
    assert done.returncode == 2, done.stderr
    assert "importing the installed plugins did not end in time" in done.stdout
    assert "folder: " in done.stdout


def test_no_secret_reaches_the_output_or_the_log(tmp_path: Path) -> None:
    (tmp_path / "scanguard.yaml").write_text(
        "version: 1\ninstances: {hook: {plugin: webhook, url: 'env:HOOK_URL', secrets: ['env:HOOK_KEY']}}\n"
        "chains: {default: {notifiers: [{use: hook}]}}\n"
    )
    environ = {"HOOK_KEY": "c4n4ry-key", "HOOK_URL": "https://hooks.example/c4n4ry-path?sig=c4n4ry-sig"}
    for form in ("table", "json"):
        done = run(
            tmp_path, "--only", "secrets", "--only", "delivery", "--format", form, **environ, SCANGUARD_PLUGINS=""
        )
        assert done.returncode == 2
        assert "env:HOOK_KEY" in done.stdout
        assert "c4n4ry" not in done.stdout + done.stderr
