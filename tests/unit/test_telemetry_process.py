"""A real worker process: its metrics as a collector gets them, and its logs as an operator reads them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from metered import EXPECTED, events, write_configuration
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric, NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from workspace import ROOT

from scanguard.app import App, AppOptions
from scanguard.telemetry.instruments import METRICS
from scanguard.telemetry.providers import FLUSH_S
from scanguard.testing.answering import answering, unreachable_url
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

CANARY = "Canary/0123 value+="
COLLECTOR_KEY = "collector-key-0123"
COMMAND = (sys.executable, "-c", "from scanguard.cli import main; main()")


async def taken(_: ReceivedRequest) -> Answer:
    return Answer(headers={"Content-Type": "application/x-protobuf"})


class Worker:
    """A ``scanguard worker`` with work in its queue."""

    def __init__(self, folder: Path) -> None:
        self.config = write_configuration(folder)
        self.data = folder / "data"

    async def prepare(self) -> None:
        environ = {"SCANGUARD_PLUGINS": "telemetry_plugin"}
        async with App.load(AppOptions(config=(self.config,), data_dir=self.data, environ=environ)) as app:
            await app.accept(events())
            await app.accept_images([f"oci:{self.config.parent / 'image'}"])

    async def start(
        self, *arguments: str, environ: Mapping[str, str], command: tuple[str, ...] = COMMAND
    ) -> asyncio.subprocess.Process:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SCANGUARD_"))}
        about = {
            "SCANGUARD_PLUGINS": "telemetry_plugin",
            "SCANGUARD_LOG_FORMAT": "json",
            "PYTHONPATH": str(ROOT / "tests" / "support"),
            "ACME_TOKEN": CANARY,
        }
        options = ("--config", str(self.config), "--data-dir", str(self.data), "--log-level", "debug")
        return await asyncio.create_subprocess_exec(
            *command,
            *options,
            "worker",
            *arguments,
            env={**inherited, **about, **environ},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )


@pytest.fixture
async def worker(tmp_path: Path) -> Worker:
    made = Worker(tmp_path)
    await made.prepare()
    return made


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    """Exit code and standard error."""
    out, err = await asyncio.wait_for(process.communicate(), 40)
    assert CANARY.encode() not in out
    assert process.returncode is not None
    return process.returncode, err.decode()


def to_collector(url: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_HEADERS": f"x-collector-key={COLLECTOR_KEY}"}


def points(metric: Metric) -> list[NumberDataPoint] | list[HistogramDataPoint]:
    return list(getattr(metric, str(metric.WhichOneof("data"))).data_points)


def last_to(collector: LoopbackServer, path: str) -> ReceivedRequest:
    """The last of a signal; what remains of each is sent when the process ends."""
    return [request for request in collector.requests if request.path == path][-1]


def spans(collector: LoopbackServer) -> list[Span]:
    """Every span that was sent; checks who says to have sent them."""
    bodies = [ExportTraceServiceRequest.FromString(one.body) for one in collector.requests if one.path == "/v1/traces"]
    resources = [resource for body in bodies for resource in body.resource_spans]
    named = {one.key: one.value.string_value for resource in resources for one in resource.resource.attributes}
    assert named["service.name"] == "scanguard"
    return [span for resource in resources for scope in resource.scope_spans for span in scope.spans]


def decoded(request: ReceivedRequest) -> dict[tuple[str, str], NumberDataPoint | HistogramDataPoint]:
    """Every point by metric and attributes; checks who says to have sent them."""
    body = ExportMetricsServiceRequest.FromString(request.body)
    (resource,) = body.resource_metrics
    about = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert about["service.name"] == "scanguard"
    assert about["service.version"]
    assert about["service.instance.id"]
    assert {scope.scope.name for scope in resource.scope_metrics} == {"scanguard", "acme"}
    return {
        (metric.name, ",".join(sorted(f"{one.key}={one.value.string_value}" for one in point.attributes))): point
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in points(metric)
    }


async def test_a_collector_gets_what_a_worker_counted_when_it_ends(worker: Worker) -> None:
    async with LoopbackServer(taken) as collector:
        code, err = await ended(await worker.start("--once", environ=to_collector(collector.url)))
        assert code == 0, err
        request = last_to(collector, "/v1/metrics")
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["x-collector-key"] == COLLECTOR_KEY
    found = decoded(request)
    sums = {key: point.as_int for key, point in found.items() if isinstance(point, NumberDataPoint)}
    done_here = {key: value for key, value in EXPECTED.items() if key[0] != "scanguard.events"}
    assert {key: sums.get(key) for key in done_here} == done_here
    assert sums["acme.requests", ""] == 3
    assert sums["scanguard.queue.depth", "lane=fresh"] == 0
    assert {name for name, _ in found} == {metric.name for metric in METRICS} - {"scanguard.events"} | {"acme.requests"}
    scan = found["scanguard.scan.duration", "outcome=done,scanner=looks"]
    assert isinstance(scan, HistogramDataPoint)
    assert scan.count == 1
    assert max(scan.explicit_bounds) > 1_800  # a scan may take half an hour
    assert not re.search(rb"sha256|CVE-|/subscriptions|" + CANARY.encode()[:12], request.body)


async def test_a_collector_gets_one_trace_of_everything_that_became_of_an_image(worker: Worker) -> None:
    async with LoopbackServer(taken) as collector:
        code, err = await ended(await worker.start("--once", environ=to_collector(collector.url)))
        assert code == 0, err
        request = last_to(collector, "/v1/traces")
        found = spans(collector)
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["x-collector-key"] == COLLECTOR_KEY
    (trace,) = {span.trace_id for span in found if span.name == "process scan"}
    names = {span.name for span in found if span.trace_id == trace}
    assert names >= {"process intake", "process assess", "process deliver", "looks submit", "pager send", "deaf send"}
    failed = next(span for span in found if span.name == "deaf send")
    assert failed.status.code == failed.status.STATUS_CODE_ERROR
    assert [event.name for event in failed.events] == ["exception"]
    everything = b"".join(one.body for one in collector.requests)
    assert not re.search(rb"Canary|Q2FuYXJ5|dTpDYW5hcnk", everything)


async def test_traces_alone_can_be_switched_off(worker: Worker) -> None:
    async with LoopbackServer(taken) as collector:
        environ = {**to_collector(collector.url), "OTEL_TRACES_EXPORTER": "none"}
        code, err = await ended(await worker.start("--once", environ=environ))
    assert code == 0, err
    assert {request.path for request in collector.requests} == {"/v1/metrics"}


async def test_a_worker_that_is_told_to_stop_exports_what_it_counted(worker: Worker) -> None:
    async with LoopbackServer(taken) as collector:
        process = await worker.start(environ=to_collector(collector.url))
        assert process.stderr is not None
        async with asyncio.timeout(30):
            while b"done" not in (line := await process.stderr.readline()) or b"looks" in line:
                assert line
        process.send_signal(signal.SIGTERM)
        code, err = await ended(process)
        assert code == 0, err
        assert decoded(last_to(collector, "/v1/metrics"))["scanguard.verdicts", "outcome=unknown"]


async def test_every_log_line_is_json_names_its_work_and_holds_no_secret(worker: Worker) -> None:
    async with LoopbackServer(taken) as collector:
        _, err = await ended(await worker.start("--once", environ=to_collector(collector.url)))
    lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    said = [line for line in lines if line["logger"] == "scanguard.plugin.looks"]
    assert [line["level"] for line in said] == ["warning", "warning", "warning", "error"]
    (task,) = {line["correlation_id"] for line in said}
    assert len(task) > 20
    assert said[3]["exception.type"] == "ValueError"
    assert not [line for line in lines if line["logger"].startswith(("urllib3", "httpx", "httpcore"))]
    for gone in ("Canary", "Q2FuYXJ5", "dTpDYW5hcnk", COLLECTOR_KEY, "\nforged"):
        assert gone not in err
    assert all("***" in json.dumps(line) for line in said)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["hangs", "refuses", "fails"])
async def test_a_collector_that_is_away_or_slow_neither_stops_the_work_nor_the_stopping(
    worker: Worker, how: str
) -> None:
    began = time.monotonic()
    environ = {"OTEL_EXPORTER_OTLP_TIMEOUT": "60", "OTEL_METRIC_EXPORT_TIMEOUT": "60000"}
    with answering(503, hangs=how == "hangs") as url:
        away = unreachable_url() if how == "refuses" else url
        process = await worker.start("--once", environ={**environ, **to_collector(away)})
        code, err = await ended(process)
    assert code == 0, err
    assert "Nothing is pending." in err
    if how != "refuses":  # of which older exporters say so themselves, and do not try again
        for what in ("metrics", "spans"):
            assert f"the last {what} were not exported within {FLUSH_S:.0f} s" in err
    assert time.monotonic() - began < FLUSH_S + 20


_WITHOUT = "import sys; sys.modules['opentelemetry.sdk'] = None; from scanguard.cli import main; main()"


async def test_a_worker_without_the_extra_does_not_start_and_names_it(worker: Worker) -> None:
    command = (sys.executable, "-c", _WITHOUT)
    process = await worker.start("--once", environ=to_collector("http://127.0.0.1:9"), command=command)
    code, err = await ended(process)
    assert code == 2
    assert 'pip install "scanguard[telemetry]"' in err
    assert "scanning" not in err


_LIST_MODULES = """
import atexit, sys
atexit.register(lambda: print(sorted(name for name in sys.modules if "opentelemetry" in name), file=sys.stderr))
from scanguard.cli import main
main()
"""


async def test_a_worker_nobody_measures_loads_nothing_of_opentelemetry(worker: Worker) -> None:
    text = worker.config.read_text(encoding="utf-8")
    worker.config.write_text(text.replace(", meter: true", ""), encoding="utf-8")
    process = await worker.start("--once", environ={}, command=(sys.executable, "-c", _LIST_MODULES))
    code, err = await ended(process)
    assert code == 0, err
    assert err.splitlines()[-1] == "[]"
