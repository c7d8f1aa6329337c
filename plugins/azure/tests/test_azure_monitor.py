"""What Application Insights gets of a deployment's way from its event to its notification, through real processes."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
import yaml
from ingestion import KEY, Envelope, Ingestion
from scanguard_azure.monitor import CONNECTION, exporters, is_wanted

from scanguard import ConfigError, Exporters
from scanguard.telemetry.events import AUDIT_DIMENSIONS, COUNTS, VERDICT_DIMENSIONS
from scanguard.telemetry.instruments import METRICS
from scanguard.testing.answering import unreachable_url
from scanguard.testing.images import build_image, write_oci_folder
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

CANARY = "Canary-Path-0123456789"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
RESOURCE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-shop/providers/Microsoft.ContainerInstance/containerGroups/web"
)
ACCEPT = """
import asyncio, sys
from pathlib import Path
from scanguard.app import App, AppOptions
app = App.load(AppOptions(config=(Path(sys.argv[1]),), data_dir=Path(sys.argv[2])))
async def accept():
    async with app:
        print((await app.accept(Path(sys.argv[3]).read_bytes())).ids[0])
with app.observed():
    asyncio.run(accept())
"""
WORK = "import sys; from scanguard.cli import main; main()"


@dataclass(frozen=True)
class Way:
    """A deployment's way, as it was told."""

    id: str
    ingestion: Ingestion
    errors: str


async def run(code: str, *arguments: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """A real process; its output and what it logged."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SCANGUARD_", "APPLICATION"))
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        *arguments,
        env={**inherited, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 50)
    assert process.returncode == 0, err.decode()
    return out.decode().strip(), err.decode()


def prepare(folder: Path, receiver: str) -> list[str]:
    """A deployment of two images, one of which is not to be had, two scanners, and three who are told."""
    write_oci_folder(folder / "image", {"1": build_image([{"etc/motd": b"hello"}])})
    deployment = {
        "resource_id": RESOURCE,
        "kind": "container_group",
        "name": "web",
        "location": "westeurope",
        "containers": [
            {"name": "web", "image": "oci:image"},
            {"name": "side", "image": f"oci:{folder / 'gone'}"},
        ],
    }
    (folder / "deployments.yaml").write_text(yaml.safe_dump({"deployments": [deployment]}))
    webhook = {"plugin": "webhook", "secrets": ["env:WEBHOOK_KEY"], "ca_file": "ca.pem"}
    instances = {
        "first": {"plugin": "scripted", "findings": 3},
        "second": {"plugin": "scripted", "fail_images": [{"match": "*", "kind": "auth"}]},
        "deployments": {"plugin": "static", "file": "deployments.yaml"},
        "files": {"plugin": "json_files"},
        "good": {**webhook, "url": f"{receiver}/{CANARY}/good?code={CANARY}"},
        "bad": {**webhook, "url": f"{receiver}/{CANARY}/bad"},
    }
    chain = {
        "scanners": {"use": ["first", "second"]},
        "policies": [{"plugin": "threshold", "fail": {"severity": "CRITICAL"}}],
        "sinks": ["files"],
        "notifiers": [{"use": "good"}, {"use": "bad"}],
    }
    settings = {
        "version": 1,
        "engine": {"backoff_s": 0.05, "max_backoff_s": 0.1, "attempts": 2, "delivery_attempts": 1},
        "instances": instances,
        "chains": {"default": chain},
    }
    (folder / "scanguard.yaml").write_text(yaml.safe_dump(settings))
    event = {
        "id": "one",
        "topic": f"/subscriptions/{SUBSCRIPTION}",
        "subject": RESOURCE,
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": "2026-01-01T00:00:00Z",
        "dataVersion": "2",
        "data": {
            "operationName": "Microsoft.ContainerInstance/containerGroups/write",
            "resourceUri": RESOURCE,
            "claims": {"name": "Ana Canary-Path", "ipaddr": "203.0.113.9"},
        },
    }
    (folder / "event.json").write_text(json.dumps([event]))
    return [str(folder / "scanguard.yaml"), str(folder / "data")]


async def answer(request: ReceivedRequest) -> Answer:
    return Answer(204 if "/good" in request.path else 410)


@pytest.fixture
async def way(tmp_path: Path) -> AsyncIterator[Way]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    async with Ingestion() as ingestion, LoopbackServer(answer, tls=tls) as receiver:
        config, data = prepare(tmp_path, receiver.url)
        environ = {
            CONNECTION: ingestion.connection_string,
            "WEBHOOK_KEY": "whsec_Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5",
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "WEBSITE_SITE_NAME": "fn-scanguard",
        }
        id, _ = await run(ACCEPT, config, data, str(tmp_path / "event.json"), environ=environ)
        _, errors = await run(WORK, "--config", config, "--data-dir", data, "worker", "--once", environ=environ)
        yield Way(id, ingestion, errors)


def dimension(found: list[Envelope], name: str) -> set[str]:
    return {one.properties.get(name, "") for one in found}


async def test_the_way_from_event_to_notification_is_one_operation_and_its_events_say_what_came_of_it(way: Way) -> None:
    ingestion = way.ingestion
    # one operation, across two processes and every queue hop
    requests = ingestion.of("RequestData")
    (accepted,) = [one for one in requests if one.data["name"] == "accept events"]
    names = {one.data["name"] for one in requests if one.operation == accepted.operation}
    assert names == {"accept events", "process intake", "process scan", "process assess", "process deliver"}
    assert {one.operation for one in requests} == {accepted.operation}
    assert dimension([one for one in requests if one.data["name"] == "process deliver"], "scanguard.assessment") == {
        way.id
    }
    dependencies = ingestion.of("RemoteDependencyData")
    assert {one.operation for one in dependencies} == {accepted.operation}
    calls = {one.data["name"] for one in dependencies if one.data["type"] == "InProc"}
    assert calls >= {"deployments describe", "first submit", "second submit", "threshold evaluate", "files write"}
    assert {"good send", "bad send"} <= calls
    posts = [one for one in dependencies if one.data["type"] == "HTTP"]
    assert {(one.properties["scanguard.component"], one.data["resultCode"]) for one in posts} == {
        ("good", "204"),
        ("bad", "410"),
    }
    assert all(one.data["target"].startswith("127.0.0.1:") for one in posts)

    # one event an image
    scans = ingestion.events("ContainerScan")
    assert len(scans) == 2
    assert {one.operation for one in scans} == {accepted.operation}
    web, side = sorted(scans, key=lambda one: one.properties["Container"], reverse=True)
    assert set(web.properties) >= {*VERDICT_DIMENSIONS, *COUNTS.values(), "VulnTotal"}
    assert all(isinstance(value, str) for value in web.properties.values())
    said = {name: web.properties[name] for name in ("EventType", "ContainerType", "Kind", "ScanId", "Subscription")}
    assert said == {
        "EventType": "ContainerScan",
        "ContainerType": "ACI",
        "Kind": "container_group",
        "ScanId": way.id,
        "Subscription": SUBSCRIPTION,
    }
    assert (web.properties["VulnTotal"], web.properties["Scanners"]) == ("3", "first")
    assert float(web.properties["Duration"]) > 0
    assert web.properties["Digest"].startswith("sha256:")
    assert side.properties["Verdict"] == "unknown"
    assert not [name for name in side.properties if name.startswith("Vuln")], "nobody looked: that is no zero"

    # scans that begin and fail, exceptions, audit
    assert dimension(ingestion.events("ContainerScanStarted"), "Component") == {"first", "second"}
    (failed,) = ingestion.events("ContainerScanFailed")
    assert failed.properties["Component"] == "second"
    assert failed.properties["ErrorKind"]
    thrown = ingestion.of("ExceptionData")
    assert dimension(thrown, "Component") == {"second", "bad"}
    assert {one.operation for one in thrown} == {accepted.operation}
    assert all(one.data["exceptions"][0]["typeName"].startswith("scanguard.errors.") for one in thrown)
    audits = ingestion.events("ScanguardAudit")
    assert {(one.properties["Action"], one.properties["Target"], one.properties["Outcome"]) for one in audits} == {
        ("deliver.sink", "files", "done"),
        ("deliver.notifier", "good", "done"),
        ("deliver.notifier", "bad", "failed"),
    }
    assert dimension(audits, "Actor") == {"engine"}
    assert all({*AUDIT_DIMENSIONS} <= set(one.properties) for one in audits)

    # metrics
    metrics = ingestion.metrics()
    about = metrics.pop("_OTELRESOURCE_")[0].properties
    assert (about["cloud.platform"], about["faas.name"]) == ("azure_functions", "fn-scanguard")
    assert set(metrics) <= {metric.name for metric in METRICS}
    (verdicts,) = metrics["scanguard.verdicts"]
    assert verdicts.data["metrics"][0]["value"] == 1
    assert verdicts.properties["outcome"] == "fail"
    assert {one.properties["outcome"] for one in metrics["scanguard.deliveries"]} == {"delivered", "failed"}

    # who sends, and what nobody may read
    assert {one.role for one in ingestion.envelopes} == {"scanguard"}
    assert "Canary" not in ingestion.text
    assert "Q2FuYXJ5" not in ingestion.text
    assert "203.0.113.9" not in ingestion.text
    assert "ContainerScan" not in way.errors, "what is exported is not logged as well at this level"


async def test_a_resource_that_is_away_neither_stops_the_work_nor_keeps_files(tmp_path: Path) -> None:
    config, data = prepare(tmp_path, "https://127.0.0.1:9")
    (tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environ = {
        CONNECTION: f"InstrumentationKey={KEY};IngestionEndpoint={unreachable_url()}/",
        "WEBHOOK_KEY": "whsec_Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5Q2FuYXJ5",
        "TMPDIR": str(temporary),
    }
    id, _ = await run(ACCEPT, config, data, str(tmp_path / "event.json"), environ=environ)
    _, errors = await run(WORK, "--config", config, "--data-dir", data, "worker", "--once", environ=environ)
    assert id
    assert "Nothing is pending." in errors
    assert not [path for path in temporary.rglob("*") if path.is_file()], "what was not sent is not kept"


@pytest.mark.parametrize(
    "text", ["IngestionEndpoint=http://127.0.0.1:1/", "InstrumentationKey=secret-canary", "garbage;;=", "secret-canary"]
)
def test_a_connection_string_that_is_none_stops_the_start_and_is_not_shown(text: str) -> None:
    with pytest.raises(ConfigError, match="no connection string") as raised:
        exporters({CONNECTION: text})
    assert "canary" not in str(raised.value)


def test_a_function_app_without_the_exporter_works_and_says_that_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "azure.monitor.opentelemetry.exporter", None)
    monkeypatch.setattr("scanguard_azure.monitor.find_spec", lambda name: None)
    assert exporters({CONNECTION: f"InstrumentationKey={KEY}"}) == Exporters()
    assert 'pip install "scanguard[azure-monitor]"' in caplog.text


@pytest.mark.parametrize(("environ", "wanted"), [({}, False), ({CONNECTION: " "}, False), ({CONNECTION: "x"}, True)])
def test_it_sends_only_where_the_environment_says(environ: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environ) is wanted


async def test_listing_the_plugin_loads_nothing_of_opentelemetry_or_azure() -> None:
    loaded = "[name for name in sys.modules if name.split('.')[0] in ('opentelemetry', 'azure')]"
    out, _ = await run(f"import sys, scanguard_azure.plugin; print({loaded})", environ={})
    assert out == "[]"
