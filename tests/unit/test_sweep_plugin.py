"""A platform and periodic job of one plugin, in a real application: run, limited, looked at by the doctor."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from examining import of_area

from scanguard.app import App, AppOptions
from scanguard.cli.context import CliContext
from scanguard.doctor import AREAS, Question, Status, examine
from scanguard.engine.quota import Quota
from scanguard.errors import ConfigError
from scanguard.ports import RecordQuery
from scanguard.testing.commands import invoke
from scanguard.testing.images import build_image, write_oci_folder

PLUGIN = """
import json
from datetime import timedelta
from pathlib import Path

from scanguard import (ConfigError, Container, Deployment, Event, EventSourceSpec, PlatformSpec, PluginConfig, Rate,
                       SweepPage, SweepSpec, hookimpl)

scanguard_api_version = 1
ASKED = []

class Config(PluginConfig):
    file: Path
    how: str = "works"
    hours: float | None = 6

class Cloud:
    def __init__(self, config, context):
        self.config, self.context = config, context

    def _there(self):
        return json.loads(self.config.file.read_text())

    async def describe(self, resource_id):
        image = self._there().get(resource_id)
        if image is None:
            return None
        return Deployment(resource_id=resource_id, kind="container_group", name=resource_id,
                          containers=(Container(name="c", image=image),), seen_at=self.context.clock.now())

    async def page(self, cursor):
        ASKED.append(cursor)
        if self.config.how == "refuses":
            raise ConfigError("the inventory is locked: ask for the key")
        there = sorted(self._there())
        here = there[int(cursor or 0):][:1]
        number = int(cursor or 0) + 1
        now = self.context.clock.now()
        events = [Event(id=f"{now:%Y%m%d}", source="cloud", type="found", resource_id=one, time=now) for one in here]
        return SweepPage(events=events, listed=here, done=1, cursor=str(number) if number < len(there) else None)

    async def check(self):
        if self.config.how == "refuses":
            raise ConfigError("no key")

    async def aclose(self):
        ASKED.append("closed")

def owns(resource_id):
    return resource_id.startswith("/cloud/")

def parsed(item):
    resource = item.get("pushed")
    return Event(id="1", source="acr", type="pushed", resource_id=resource, time="2026-01-01T00:00:00Z") \\
        if resource else None

@hookimpl
def scanguard_platforms():
    yield PlatformSpec(name="cloud", config=Config, build=Cloud, owns=owns, quota=(Rate.parse("1000/m"),),
                       quota_key=lambda resource: resource.split("/")[2])

@hookimpl
def scanguard_sweeps():
    every = lambda config: None if config.hours is None else timedelta(hours=config.hours)
    yield SweepSpec(name="cloud", config=Config, build=Cloud, every=every, lists_all=True, owns=owns)

@hookimpl
def scanguard_event_sources():
    yield EventSourceSpec(name="pushes", accepts=lambda item: "eventType" in item, parse=parsed)
"""
CONFIG = """\
version: 1
instances:
  clean: {{plugin: scripted}}
  cloud: {{plugin: cloud, file: {file}, {more}}}
chains: {{default: {{scanners: [clean], policies: [{{plugin: threshold}}]}}}}
exclude: [/cloud/s1/own]
ignore_actors: [11111111-AAAA-1111-1111-111111111111]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "scanguard_cloud_test.py").write_text(PLUGIN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    write_oci_folder(tmp_path / "image", {"1": build_image([{"etc/motd": b"hello"}])})
    deployed(tmp_path, "/cloud/s1/a", "/cloud/s2/b", "/cloud/s1/own")
    yield tmp_path
    sys.modules.pop("scanguard_cloud_test", None)


def deployed(folder: Path, *resources: str) -> None:
    image = f"oci:{folder / 'image'}"
    (folder / "cloud.json").write_text(json.dumps(dict.fromkeys(resources, image)), encoding="utf-8")


def options(folder: Path, more: str = "how: works") -> AppOptions:
    config = folder / "scanguard.yaml"
    config.write_text(CONFIG.format(file=folder / "cloud.json", more=more), encoding="utf-8")
    environ = {"SCANGUARD_PLUGINS": "scanguard_cloud_test"}
    return AppOptions(config=(config,), data_dir=folder / "data", environ=environ)


def asked() -> list[str]:
    found: list[str] = sys.modules["scanguard_cloud_test"].ASKED
    return found


async def worked(options: AppOptions) -> None:
    async with App.load(options) as app:
        await app.work(idle_exit=True)


async def test_a_worker_runs_an_inventory_judges_what_it_found_and_closes_what_vanished(folder: Path) -> None:
    await worked(options(folder))
    async with App.load(options(folder)) as app:
        found = {one.deployment.resource_id: one.closed_at for one in await app.backend.records.query(RecordQuery())}
        assert found == {"/cloud/s1/a": None, "/cloud/s2/b": None}, "our own is excluded"
        [job] = await app.sweeps.all()
        assert (job.job.done, job.job.error, job.is_resting) == (3, "", True)
        deployed(folder, "/cloud/s1/a")
        await app.sweeps.run("cloud")
        await app.work(idle_exit=True)
        found = {one.deployment.resource_id: one.closed_at for one in await app.backend.records.query(RecordQuery())}
    assert found["/cloud/s2/b"] is not None
    assert found["/cloud/s1/a"] is None
    context = CliContext(config_paths=options(folder).config, data_dir=folder / "data", environ=options(folder).environ)
    listed = await asyncio.to_thread(invoke, ["results"], context=context)
    assert "(closed)" in listed.stdout
    explained = (await asyncio.to_thread(invoke, ["explain", "/cloud/s2/b"], context=context)).stdout
    assert "closed: the deployment is gone, found gone" in explained


async def test_an_inventory_is_not_begun_by_who_only_wants_one_scan(folder: Path) -> None:
    async with App.load(options(folder)) as app:
        ids = await app.accept_images([f"oci:{folder / 'image'}"])
        await app.work(until=ids)
        assert await app.sweeps.all() == []
    assert asked() == []


async def test_requests_count_in_the_bucket_of_their_subscription(folder: Path) -> None:
    await worked(options(folder))
    async with App.load(options(folder)) as app:
        names = {hosted.limited.name for one in ("/cloud/s1/a", "/cloud/s2/b") for hosted in app._host.platforms(one)}
        counted = [await app.backend.state.get(Quota.TABLE, name) for name in names]
        [job] = [app._host.sweep(name) for name in app._host.sweeps()]
    assert len(names) == 2
    assert all(name.startswith("cloud:") for name in names)
    taken = [list(row.body["taken"]) for row in counted if row]  # type: ignore[arg-type]  # a mapping
    assert taken == [["1000/60s", "sent 1000/60s"]] * 2
    assert job.limited.rates == ()


async def test_the_configuration_has_the_last_word_on_quotas(folder: Path) -> None:
    app = App.load(options(folder, "quota: [7/m]"))
    [hosted] = app._host.platforms("/cloud/s1/a")
    assert [str(rate) for rate in hosted.limited.rates] == ["7/60s"]
    assert [str(rate) for rate in app._host.sweep("cloud").limited.rates] == ["7/60s"]


async def test_an_instance_whose_job_is_switched_off_has_none(folder: Path) -> None:
    await worked(options(folder, "hours: null"))
    assert "0" not in asked()
    assert "" not in asked()


async def test_what_our_own_identities_do_is_skipped_and_said(folder: Path) -> None:
    group = "/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerInstance/containerGroups/web"
    event = {
        "id": "1",
        "topic": "/subscriptions/s",
        "subject": group,
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": "2026-03-01T18:38:04Z",
        "data": {"claims": {"appid": "11111111-aaaa-1111-1111-111111111111"}},
    }
    async with App.load(options(folder)) as app:
        accepted = await app.accept(json.dumps(event).encode())
    assert accepted.ids == ()
    assert "one of ignore_actors" in accepted.skipped[0]


async def test_an_event_that_one_source_knows_nothing_of_is_given_to_the_next(folder: Path) -> None:
    async with App.load(options(folder)) as app:
        pushed = await app.accept(b'{"eventType": "Acr.ImagePushed", "pushed": "/cloud/s1/a"}')
        nothing = await app.accept(b'{"eventType": "Acr.ImagePushed"}')
    assert (len(pushed.ids), pushed.skipped) == (1, ())
    assert (nothing.ids, len(nothing.skipped)) == ((), 1)


async def test_the_doctor_asks_the_job_and_tells_what_its_last_run_failed_of(folder: Path) -> None:
    await worked(options(folder, "how: refuses"))
    found = await examine(Question(options=options(folder, "how: refuses"), areas=frozenset(AREAS)))
    platforms = of_area(found, "platforms")
    assert platforms["sweep cloud"].status is Status.FAIL
    assert "no key" in platforms["sweep cloud"].detail
    job = of_area(found, "queue")["sweep cloud"]
    assert job.status is Status.WARN
    assert "the inventory is locked: ask for the key" in job.detail
    assert "scanguard sweeps run cloud" in job.remedy


def test_a_quota_of_what_asks_nobody_is_refused(folder: Path) -> None:
    config = folder / "scanguard.yaml"
    config.write_text(
        "version: 1\ninstances: {c: {plugin: console, quota: [1/m]}}\nchains: {default: {}}\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError) as caught:
        App.load(AppOptions(config=(config,), data_dir=folder / "data", environ={}))
    assert "only scanners and platforms and sweeps have quota" in str(caught.value.problems)
