"""The composition root: what is configured is built, lent what it needs, guarded, and closed."""

from __future__ import annotations

import asyncio
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanguard.app import App, AppOptions
from scanguard.errors import ConfigError, InvalidReferenceError, PluginMissingError, SecretError
from scanguard.model.image import Platform
from scanguard.model.secret import SecretRef
from scanguard.model.verdict import Outcome, ScannerStatus
from scanguard.testing.images import build_image, write_oci_folder

GROUPS = "/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerInstance/containerGroups"
OURS = f"{GROUPS}/Scanguard"

PLUGIN = """
import asyncio
from scanguard import (Coverage, CoverageItem, CoverageStatus, PluginConfig, ScannerInfo, ScannerSpec, ScanReport,
                       SecretRef, hookimpl)

scanguard_api_version = 1
CLOSED = []

class Config(PluginConfig):
    how: str = "answers"
    token: SecretRef | None = None

class Acme:
    def __init__(self, config, context):
        if config.how == "factory":
            raise RuntimeError("cannot be built")
        self.config, self.context = config, context

    async def submit(self, request):
        if self.config.token is not None:
            assert (await self.context.secret(self.config.token)).get_secret_value() == "hunter2"
        if self.config.how == "raises":
            raise KeyError("a bug")
        if self.config.how == "garbage":
            return {"findings": []}
        if self.config.how == "hangs":
            await asyncio.Event().wait()
        now = self.context.clock.now()
        digest = request.image.digest if self.config.how != "lies" else "sha256:" + "0" * 64
        return ScanReport(digest=digest, platform=request.image.platform,
                          scanner=ScannerInfo(tool="acme", version="1"), started_at=now, finished_at=now,
                          coverage=Coverage(items=(CoverageItem(subject="all", status=CoverageStatus.COVERED),)))

    async def poll(self, ticket):
        raise AssertionError

    async def find(self, request):
        return None

    async def info(self):
        return ScannerInfo(tool="acme", version="1")

    async def aclose(self):
        CLOSED.append(self.context.instance)

@hookimpl
def scanguard_scanners():
    yield ScannerSpec(name="acme", config=Config, build=Acme, step_timeout_s=0.3)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "scanguard_acme_test.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    write_oci_folder(tmp_path / "image", {"1": build_image([{"etc/motd": b"hello"}])})
    yield tmp_path
    sys.modules.pop("scanguard_acme_test", None)


def options(folder: Path, *instances: str, require: str = "all", **more: object) -> AppOptions:
    """Instances ``how`` of the plugin above, each named as it behaves."""
    config = folder / "scanguard.yaml"
    lines = "".join(f"  {how}: {{plugin: acme, how: {how}}}\n" for how in instances)
    config.write_text(
        textwrap.dedent(f"""\
        version: 1
        engine: {{backoff_s: 0.05, max_backoff_s: 0.1, attempts: 2}}
        chains:
          default:
            scanners: {{use: [{", ".join(instances)}], require: {require}}}
            policies: [{{plugin: threshold}}]
        exclude: [{OURS}]
        instances:
        """)
        + lines,
        encoding="utf-8",
    )
    environ = {"SCANGUARD_PLUGINS": "scanguard_acme_test"}
    return AppOptions(config=(config,), data_dir=folder / "data", environ=environ, **more)  # type: ignore[arg-type]  # fields


async def outcome_of(given: AppOptions, folder: Path) -> tuple[Outcome, dict[str, tuple[str, str]]]:
    async with App.load(given) as app:
        (name,) = await app.accept_images([f"oci:{folder / 'image'}"])
        await asyncio.wait_for(app.work(until=[name]), 20)
        verdict = await app.verdict(name)
    assert verdict is not None
    scanners = verdict.images[0].scanners
    return verdict.outcome, {one.instance: (one.status.value, one.error) for one in scanners}


@pytest.mark.parametrize(
    ("how", "says"),
    [
        pytest.param("factory", "building the scanner 'factory' raised RuntimeError", id="in its factory"),
        pytest.param("raises", "raises raised KeyError during submit", id="in a call"),
        pytest.param("garbage", "garbage answered submit with a dict", id="by another type"),
        pytest.param("hangs", "hangs did not finish submit within 0 s", id="by never returning"),
        pytest.param("lies", "answered about sha256:000", id="by another image's report"),
    ],
)
async def test_a_plugin_that_fails_hurts_only_itself(folder: Path, how: str, says: str) -> None:
    outcome, scanners = await outcome_of(options(folder, how, "answers"), folder)
    assert outcome is Outcome.UNKNOWN
    assert scanners["answers"] == (ScannerStatus.DONE.value, "")
    assert scanners[how][0] == ScannerStatus.FAILED.value
    assert says in scanners[how][1]


async def test_one_report_is_enough_where_the_chain_says_so(folder: Path) -> None:
    outcome, _ = await outcome_of(options(folder, "raises", "answers", require="any"), folder)
    assert outcome is Outcome.PASS


async def test_several_instances_of_one_plugin_stand_side_by_side_and_are_closed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = options(folder, "answers")
    text = given.config[0].read_text() + "  second: {plugin: acme, token: env:ACME_TOKEN}\n"  # type: ignore[index]  # given above
    given.config[0].write_text(text.replace("use: [answers]", "use: [answers, second]"))  # type: ignore[index]  # given above
    monkeypatch.setenv("ACME_TOKEN", "hunter2")
    outcome, scanners = await outcome_of(given, folder)
    assert outcome is Outcome.PASS
    assert set(scanners) == {"answers", "second"}
    assert sorted(sys.modules["scanguard_acme_test"].CLOSED) == ["answers", "second"]


async def test_the_command_line_may_name_other_scanners(folder: Path) -> None:
    outcome, scanners = await outcome_of(options(folder, "raises", scanners=("acme",)), folder)
    assert outcome is Outcome.PASS
    assert set(scanners) == {"acme"}


def test_a_scanner_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(ConfigError, match='did you mean "answers"'):
        App.load(options(folder, "answers", scanners=("answer",)))
    with pytest.raises(PluginMissingError, match=r"scanguard\[snyk\]"):
        App.load(options(folder, "answers", scanners=("snyk",)))
    with pytest.raises(ConfigError, match="--insecure-registry"):
        App.load(options(folder, "answers", insecure_registries=("http://x",)))


async def test_a_secret_of_an_unknown_scheme_is_told_without_its_value(folder: Path) -> None:
    app = App.load(options(folder, "answers"))
    with pytest.raises(SecretError, match="vault:a/b: the schemes known here are env:, file:"):
        await app.plugin_context("x").secret(SecretRef("vault:a/b"))


async def test_our_own_containers_are_excluded_by_their_exact_id_only(folder: Path) -> None:
    def event(resource: str) -> dict[str, object]:
        return {
            "id": resource,
            "topic": "/subscriptions/s",
            "subject": resource,
            "eventType": "Microsoft.Resources.ResourceWriteSuccess",
            "eventTime": "2026-01-01T00:00:00Z",
            "dataVersion": "2",
            "data": {"operationName": "Microsoft.ContainerInstance/containerGroups/write", "resourceUri": resource},
        }

    async with App.load(options(folder, "answers")) as app:
        accepted = await app.accept(json.dumps([event(OURS.lower()), event(OURS + "2")]).encode())
    assert len(accepted.ids) == 1
    assert accepted.skipped == (f"{OURS.lower()} is excluded by the configuration",)


async def test_a_name_that_is_no_image_is_refused_before_anything_is_accepted(folder: Path) -> None:
    async with App.load(options(folder, "answers")) as app:
        with pytest.raises(InvalidReferenceError):
            await app.accept_images(["good/name", "Bad/Name"])
        await asyncio.wait_for(app.work(idle_exit=True), 5)


async def test_a_bare_manifest_is_scanned_for_the_platform_it_is_built_for(folder: Path) -> None:
    write_oci_folder(folder / "arm", {"1": build_image([{"a": b"x"}], platform=Platform(architecture="arm64"))})
    async with App.load(options(folder, "answers")) as app:
        (name,) = await app.accept_images([f"oci:{folder / 'arm'}"])
        await asyncio.wait_for(app.work(until=[name]), 10)
        verdict = await app.verdict(name)
    assert verdict is not None
    assert verdict.images[0].image is not None
    assert verdict.images[0].image.platform.architecture == "arm64"
