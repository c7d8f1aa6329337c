"""A backend of a plugin: chosen, checked, lent what it needs, guarded, closed; and looked at by the doctor."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from examining import of_area

from scanguard.app import App, AppOptions
from scanguard.cli.context import CliContext
from scanguard.doctor import AREAS, Check, Question, Status, examine
from scanguard.errors import BackendError, ConfigError, PluginContractError, PluginMissingError, SecretError
from scanguard.model.verdict import Outcome
from scanguard.testing.commands import invoke
from scanguard.testing.images import build_image, write_oci_folder

PLUGIN = """
from contextlib import asynccontextmanager
from pathlib import Path

from scanguard import Backend, BackendError, BackendSpec, PluginConfig, SecretRef, hookimpl
from scanguard.backends import embedded

scanguard_api_version = 1
EVENTS = []

class Config(PluginConfig):
    folder: Path
    how: str = "opens"
    password: SecretRef | None = None

@asynccontextmanager
async def opened(config, context):
    if config.how == "raises":
        raise KeyError("a bug")
    if config.how == "refuses":
        raise BackendError("the cupboard is locked: ask for the key")
    if config.how == "garbage":
        yield "ports"
        return
    if config.password is not None:
        await context.secret(config.password)
    EVENTS.append(f"opened by {context.instance}")
    async with embedded(config.folder) as ports:
        yield ports
    EVENTS.append("closed")
    if config.how == "cannot close":
        raise OSError("stuck")

@hookimpl
def scanguard_backends():
    yield BackendSpec(name="cupboard", config=Config, open=opened, description="For tests.")
"""
CONFIG = """\
version: 1
backend:
  plugin: {plugin}
  {options}
instances: {{clean: {{plugin: scripted}}}}
chains: {{default: {{scanners: [clean], policies: [{{plugin: threshold}}]}}}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "scanguard_cupboard_test.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("scanguard_cupboard_test", None)


def options(folder: Path, more: str = "how: opens", *, plugin: str = "cupboard", where: str = "cupboard") -> AppOptions:
    config = folder / "scanguard.yaml"
    chosen = f"folder: {folder / where}\n  {more}"
    config.write_text(CONFIG.format(plugin=plugin, options=chosen), encoding="utf-8")
    environ = {"SCANGUARD_PLUGINS": "scanguard_cupboard_test"}
    return AppOptions(config=(config,), data_dir=folder / "data", environ=environ)


async def test_what_is_accepted_is_kept_where_the_configuration_says(folder: Path) -> None:
    write_oci_folder(folder / "image", {"1": build_image([{"etc/motd": b"hello"}])})
    async with App.load(options(folder)) as app:
        (name,) = await app.accept_images([f"oci:{folder / 'image'}"])
        await asyncio.wait_for(app.work(until=[name]), 20)
    async with App.load(options(folder)) as again:
        verdict = await again.verdict(name)
    assert verdict is not None
    assert verdict.outcome is Outcome.FAIL, "the scripted scanner finds something"
    assert (folder / "cupboard" / "scanguard.db").exists()
    assert not (folder / "data" / "scanguard.db").exists()
    assert sys.modules["scanguard_cupboard_test"].EVENTS == ["opened by backend", "closed"] * 2


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        pytest.param("raises", PluginContractError, "opening the backend raised KeyError", id="something foreign"),
        pytest.param("refuses", BackendError, "the cupboard is locked", id="an error of ours"),
        pytest.param("garbage", PluginContractError, "opened as a str", id="something else than ports"),
    ],
)
async def test_a_backend_that_does_not_open_stops_the_start(
    folder: Path, how: str, error: type[Exception], says: str
) -> None:
    app = App.load(options(folder, f"how: {how}"))
    with pytest.raises(error, match=says) as told:
        async with app:
            pytest.fail("it opened")
    assert getattr(told.value, "plugin", None) == "cupboard"


async def test_a_backend_that_cannot_be_closed_is_told_and_left(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with App.load(options(folder, "how: cannot close")):
        pass
    assert "could not close: kind=backend name=cupboard error=OSError" in caplog.text


async def test_its_secrets_are_references_that_it_may_resolve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = options(folder, "password: env:CUPBOARD_KEY")
    with pytest.raises(SecretError, match="CUPBOARD_KEY"):
        async with App.load(given):
            pytest.fail("it opened")
    monkeypatch.setenv("CUPBOARD_KEY", "hunter2")
    async with App.load(given) as app:
        assert (await app.backend.queue.depths()) is not None


def test_its_options_are_checked_and_placed_before_any_work(folder: Path) -> None:
    with pytest.raises(ConfigError) as told:
        App.load(options(folder, "foldr: x"))
    assert told.value.problems == (
        f'{folder / "scanguard.yaml"}:5: backend.foldr: unknown key; did you mean "folder"?',
    )


def test_a_backend_that_is_not_installed_is_told(folder: Path) -> None:
    with pytest.raises(PluginMissingError, match=r'no installed plugin offers the backend "?.?wardrobe'):
        App.load(options(folder, plugin="wardrobe"))


def test_the_command_line_says_which_backend_applies(folder: Path) -> None:
    given = options(folder)
    assert given.config is not None

    def here() -> CliContext:
        return CliContext(environ=given.environ)

    arguments = ["--config", str(given.config[0]), "config"]
    assert "Backend cupboard." in invoke([*arguments, "check"], context=here()).stderr
    explained = invoke([*arguments, "explain"], context=here()).stdout
    assert "cupboard" in explained
    assert "scanguard.yaml:3" in explained
    schema = invoke([*arguments, "schema"], context=here()).stdout
    assert '"const": "cupboard"' in schema


# --- the doctor ---------------------------------------------------------------------------------------------


async def examined(given: AppOptions, *areas: str) -> dict[str, dict[str, Check]]:
    examination = await examine(Question(options=given, areas=frozenset(areas or AREAS), timeout_s=20))
    return {area: of_area(examination, area) for area in AREAS}


@pytest.mark.parametrize("areas", [(), ("data", "queue")])
async def test_the_doctor_asks_the_backend_and_not_the_folder(folder: Path, areas: tuple[str, ...]) -> None:
    async with App.load(options(folder)) as app:
        await app.accept_images(["example.test/app:1"])
    seen = await examined(options(folder), *areas)
    assert seen["data"]["backend"].status is Status.OK
    assert "writing was not tried" in seen["data"]["backend"].detail
    assert "database" not in seen["data"]
    assert "1 message" in seen["queue"]["lane fresh"].detail


@pytest.mark.parametrize("how", ["refuses", "raises"])
async def test_the_doctor_says_why_a_backend_does_not_open(folder: Path, how: str) -> None:
    seen = await examined(options(folder, f"how: {how}"))
    assert seen["data"]["backend"].status is Status.FAIL
    assert seen["queue"]["work"].status is Status.FAIL
    assert ("locked" in seen["data"]["backend"].detail) is (how == "refuses")


async def test_the_doctor_looks_at_no_other_queue_when_the_backend_cannot_be_used(folder: Path) -> None:
    for given in (options(folder, "foldr: x"), options(folder, plugin="wardrobe")):
        seen = await examined(given)
        assert seen["data"]["backend"].status is Status.SKIPPED
        assert seen["queue"]["work"].status is Status.SKIPPED
        assert {check.status for check in (*seen["plugins"].values(), *seen["configuration"].values())} >= {Status.FAIL}


async def test_the_doctor_resolves_the_backends_secrets(folder: Path) -> None:
    seen = await examined(options(folder, "password: env:CUPBOARD_KEY"), "secrets")
    assert seen["secrets"]["env:CUPBOARD_KEY"].status is Status.FAIL
    assert "backend.password" in seen["secrets"]["env:CUPBOARD_KEY"].detail
