"""What is counted and measured about a real run, and that the documentation says the same."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from metered import EXPECTED, events, write_configuration
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from workspace import ROOT

from scanguard.app import App, AppOptions
from scanguard.engine.documents import ScanTask
from scanguard.engine.engine import Engine
from scanguard.engine.worker import Worker
from scanguard.errors import BackendError, ConfigError
from scanguard.ports import Lane, Message, MessageKind, Outgoing, QueueDepth, Row
from scanguard.telemetry.export import destination
from scanguard.telemetry.instruments import METRICS
from scanguard.telemetry.metrics import MOST_INSTANCES, OTHERS, Recorder, count_scan, recorder, recording
from scanguard.telemetry.observing import observing
from scanguard.telemetry.queue_depths import watching_queue
from scanguard.testing.memory import MemoryBackend
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigHost


@dataclass
class Collector:
    """Every point, by its metric and its attributes in one text."""

    reader: InMemoryMetricReader

    def _metrics(self) -> list[Any]:
        data = self.reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        return [metric for scope in scopes for metric in scope.metrics]

    def points(self) -> dict[tuple[str, str], Any]:
        return {
            (metric.name, ",".join(f"{key}={value}" for key, value in sorted((point.attributes or {}).items()))): point
            for metric in self._metrics()
            for point in metric.data.data_points
        }

    def units(self) -> dict[str, str]:
        return {metric.name: metric.unit for metric in self._metrics()}

    def sums(self) -> dict[tuple[str, str], float]:
        return {key: point.value for key, point in self.points().items() if hasattr(point, "value")}


@contextmanager
def collecting() -> Iterator[tuple[Collector, Recorder]]:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    with recording(provider.get_meter("scanguard")) as to:
        yield Collector(reader), to
    provider.shutdown()


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppOptions:
    monkeypatch.setenv("ACME_TOKEN", "hunter2-canary")
    config = write_configuration(tmp_path)
    environ = {"SCANGUARD_PLUGINS": "telemetry_plugin"}
    return AppOptions(config=(config,), data_dir=tmp_path / "data", environ=environ)


async def test_a_run_is_counted_event_by_event_scan_by_scan_and_delivery_by_delivery(
    options: AppOptions, tmp_path: Path
) -> None:
    with collecting() as (collector, _):
        async with App.load(options) as app:
            accepted = await app.accept(events())
            images = await app.accept_images([f"oci:{tmp_path / 'image'}"])
            await asyncio.wait_for(app.work(until=[*accepted.ids, *images]), 20)
            await asyncio.wait_for(app.work(idle_exit=True), 20)
        units = collector.units()
        points = collector.points()
    sums = {key: point.value for key, point in points.items() if hasattr(point, "value")}
    assert {key: value for key, value in sums.items() if "queue" not in key[0] and "messages" not in key[0]} == EXPECTED
    kinds = ("intake", "scan", "deliver", "assess")
    assert all(sums["scanguard.messages", f"kind={kind},outcome=handled"] >= 1 for kind in kinds)
    for name, key, count in [
        ("scanguard.scan.duration", "outcome=done,scanner=looks", 1),
        ("scanguard.scan.duration", "outcome=failed,scanner=refuses", 1),
        ("scanguard.time_to_verdict", "", 1),
    ]:
        point = points[name, key]
        assert isinstance(point, HistogramDataPoint)
        assert point.count == count
        assert 0 <= point.sum < 20
    deliveries = points["scanguard.message.duration", "kind=deliver"]
    assert isinstance(deliveries, HistogramDataPoint)
    assert deliveries.count >= 2, "a message may come more than once"
    assert [sums["scanguard.queue.depth", f"lane={lane.value}"] for lane in Lane] == [0, 0, 0]
    assert [sums["scanguard.queue.oldest_age", f"lane={lane.value}"] for lane in Lane] == [0, 0, 0]
    assert units == {metric.name: metric.unit for metric in METRICS}
    named = {metric.name: set(metric.attributes) for metric in METRICS}
    assert all({pair.partition("=")[0] for pair in key.split(",") if pair} == named[name] for name, key in points)
    assert not any(re.search(r"sha256|oci:|/subscriptions", key) for _, key in points)


class NeverFinishes(Engine):
    """Takes a scan in hand and keeps it."""

    in_hand = asyncio.Event()

    async def handle(self, message: Message, *, again: bool = False) -> list[Outgoing]:
        if message.id == "endless":
            self.in_hand.set()
            await asyncio.Event().wait()
        return await super().handle(message, again=again)


async def test_a_worker_counts_what_comes_again_what_it_cannot_read_and_what_was_cut_short(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory = MemoryBackend()
    await memory.state.insert(Row(ScanTask.TABLE, "newer", "", {"schema_version": 99}))
    foreign = Message(kind=MessageKind.SCAN, id="x", schema_version=99)
    given = [foreign, *(Message(kind=MessageKind.SCAN, id=id) for id in ("newer", "nothing", "endless"))]
    await memory.queue.send([Outgoing(message) for message in given])
    engine = NeverFinishes(memory.backend(), RigHost(Rig(memory=memory)))
    with collecting() as (collector, _):
        working = asyncio.create_task(Worker(engine).run(_never))
        await asyncio.wait_for(engine.in_hand.wait(), 5)
        await asyncio.sleep(0.05)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        points = collector.points()
    counted = {key: point.value for (name, key), point in points.items() if name == "scanguard.messages"}
    assert counted == {
        "kind=unknown,outcome=foreign": 1,
        "kind=scan,outcome=again": 1,
        "kind=scan,outcome=handled": 1,
        "kind=scan,outcome=stopped": 1,
    }
    assert points["scanguard.message.duration", "kind=scan"].count == 3
    assert ("scanguard.message.duration", "kind=unknown") not in points
    (again,) = [record for record in caplog.records if "comes again" in record.message]
    assert vars(again)["correlation_id"] == "newer"


async def _never() -> bool:
    return False


def test_instances_beyond_a_bound_are_counted_together() -> None:
    with collecting() as (collector, _):
        for number in range(MOST_INSTANCES + 50):
            count_scan(f"scanner-{number}", "done", None)
        sums = collector.sums()
    assert len(sums) == MOST_INSTANCES + 1
    assert sums["scanguard.scans", f"outcome=done,scanner={OTHERS}"] == 50


# --- the queue's gauges -----------------------------------------------------------------------------------


@dataclass
class Queue:
    now: Mapping[Lane, QueueDepth] = field(default_factory=dict)
    is_down: bool = False
    looks: int = 0

    async def depths(self) -> Mapping[Lane, QueueDepth]:
        self.looks += 1
        if self.is_down:
            raise BackendError("the database is locked")
        return self.now


class Noon:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, 12, tzinfo=UTC)


async def until_looked(queue: Queue, times: int) -> None:
    async with asyncio.timeout(5):
        while queue.looks < times:  # noqa: ASYNC110  # the queue is asked by the code under test
            await asyncio.sleep(0.01)


async def test_the_gauges_follow_the_queue_and_say_nothing_they_do_not_know() -> None:
    noon = Noon().now()
    queue = Queue(
        {
            Lane.FRESH: QueueDepth(12, noon - timedelta(seconds=90)),
            Lane.BULK: QueueDepth(3, None),
            Lane.HEAVY: QueueDepth(0, None),
        }
    )
    with collecting() as (collector, _):
        async with watching_queue(queue, Noon(), interval_s=0.02):
            await until_looked(queue, 1)
            assert collector.sums() == {
                ("scanguard.queue.depth", "lane=fresh"): 12,
                ("scanguard.queue.depth", "lane=bulk"): 3,
                ("scanguard.queue.depth", "lane=heavy"): 0,
                ("scanguard.queue.oldest_age", "lane=fresh"): 90,
                ("scanguard.queue.oldest_age", "lane=heavy"): 0,
            }
            queue.now = {Lane.FRESH: QueueDepth(1, noon + timedelta(seconds=5))}
            await until_looked(queue, queue.looks + 2)
            assert collector.sums() == {
                ("scanguard.queue.depth", "lane=fresh"): 1,
                ("scanguard.queue.oldest_age", "lane=fresh"): 0,
            }


async def test_a_queue_that_cannot_be_asked_shows_no_old_number_and_stops_no_work() -> None:
    queue = Queue({Lane.FRESH: QueueDepth(7)})
    with collecting() as (collector, _):
        async with watching_queue(queue, Noon(), interval_s=0.02):
            await until_looked(queue, 1)
            assert collector.sums()["scanguard.queue.depth", "lane=fresh"] == 7
            queue.is_down = True
            await until_looked(queue, queue.looks + 6)
            assert collector.sums() == {}


# --- documentation and set-up -----------------------------------------------------------------------------


def test_the_documented_metrics_are_those_in_the_code() -> None:
    text = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(scanguard\.\S+)` \| (\w+) \| `([^`]+)` \| (.+?) \| (.+) \|$", text, re.MULTILINE)
    documented = [
        (name, kind, unit, tuple(re.findall(r"`(\w+)`", attributes)), meaning)
        for name, kind, unit, attributes, meaning in rows
    ]
    assert documented == [(one.name, one.kind, one.unit, one.attributes, one.description) for one in METRICS]


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        pytest.param({}, None, id="nothing asked for"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None, id="empty counts as unset"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/"}, "http://c:4318/v1/metrics", id="a collector"),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "https://m/x"},
            "https://m/x",
            id="a whole address",
        ),
        pytest.param({"OTEL_METRICS_EXPORTER": "otlp"}, "http://localhost:4318/v1/metrics", id="the default one"),
        pytest.param(
            {"OTEL_METRICS_EXPORTER": "None", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, None, id="switched off"
        ),
        pytest.param(
            {"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, None, id="all switched off"
        ),
    ],
)
def test_the_environment_says_where_metrics_go(environ: dict[str, str], url: str | None) -> None:
    to = destination(environ)
    assert (to and to.url) == url


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        pytest.param({"OTEL_METRICS_EXPORTER": "prometheus"}, "prometheus", id="another exporter"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "no http or https URL", id="no URL"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1"}, "no http or https URL", id="a broken URL"),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:99999"}, "no http or https URL", id="a port too high"),
        pytest.param(
            {"OTEL_METRICS_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf", id="gRPC"
        ),
    ],
)
def test_a_variable_that_makes_no_sense_stops_the_start(environ: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says), observing(environ):
        raise AssertionError("it started")


@pytest.mark.parametrize("gone", ["opentelemetry.sdk", "opentelemetry.exporter"])
def test_a_missing_extra_is_named_before_any_work(gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(f"{gone}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, gone, None)
    with (
        pytest.raises(ConfigError, match=r"scanguard\[telemetry\]"),
        observing({"OTEL_METRICS_EXPORTER": "otlp"}),
    ):
        raise AssertionError("it started")


def test_without_anybody_who_receives_nothing_is_set_up() -> None:
    with observing({}):
        before = recorder()
    assert recorder() is before
