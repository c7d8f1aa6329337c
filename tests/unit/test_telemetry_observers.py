"""A plugin's place for telemetry: what it gets from a real worker, and what becomes of one that is broken."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from workspace import ROOT

from scanguard.app import App, AppOptions
from scanguard.testing.images import build_image, write_oci_folder
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

CANARY = "Canary/0123 value+="
CONFIG = """\
version: 1
chains:
  default: {scanners: {use: [careless]}, policies: [{plugin: threshold}]}
instances:
  careless: {plugin: acme-careless, token: env:ACME_TOKEN}
"""
PLUGINS = "telemetry_plugin,observing_plugin"


@pytest.fixture
async def prepared(tmp_path: Path) -> Path:
    """A folder with a configuration, and an image in the queue."""
    (tmp_path / "scanguard.yaml").write_text(CONFIG)
    write_oci_folder(tmp_path / "image", {"1": build_image([{"a": b"b"}])})
    options = AppOptions(
        config=(tmp_path / "scanguard.yaml",), data_dir=tmp_path / "data", environ={"SCANGUARD_PLUGINS": PLUGINS}
    )
    async with App.load(options) as app:
        await app.accept_images([f"oci:{tmp_path / 'image'}"])
    return tmp_path


async def work(folder: Path, environ: Mapping[str, str], command: str = "worker --once") -> tuple[int, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "SCANGUARD_"))}
    about = {"SCANGUARD_PLUGINS": PLUGINS, "PYTHONPATH": str(ROOT / "tests" / "support"), "ACME_TOKEN": CANARY}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from scanguard.cli import main; main()",
        *("--config", str(folder / "scanguard.yaml"), "--data-dir", str(folder / "data"), *command.split()),
        env={**inherited, **about, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode is not None
    return process.returncode, errors.decode()


def observed(file: Path, kind: str) -> list[dict[str, Any]]:
    return [item for what, item in map(json.loads, file.read_text().splitlines()) if what == kind]


async def test_an_observer_gets_safe_spans_events_and_records_and_nothing_of_libraries(prepared: Path) -> None:
    file = prepared / "observed"
    code, errors = await work(prepared, {"OBSERVED_FILE": str(file)})
    assert code == 0, errors
    text = file.read_text()
    for gone in ("Canary", "Q2FuYXJ5"):
        assert gone not in text
    spans, logs = observed(file, "span"), observed(file, "log")
    (asked,) = [span for span in spans if span["name"].startswith("ask ")]
    assert asked["name"] == "ask ***"
    assert asked["attributes"] == {"q": "?sig=***", "all": ["x", "***"], "number": 7}
    assert [event["name"] for event in asked["events"]] == ["asked", "exception"]
    (submit,) = [span for span in spans if span["name"] == "careless submit"]
    assert asked["parent_id"] == submit["context"]["span_id"]
    assert asked["resource"]["attributes"]["cloud.region"] == "mars"
    assert asked["resource"]["attributes"]["service.name"] == "scanguard"
    events = [log for log in logs if "acme.event" in log["attributes"]]
    assert {log["attributes"]["acme.event"] for log in events} == {"ContainerScan", "ContainerScanStarted"}
    assert {log["trace_id"] for log in events} == {asked["context"]["trace_id"]}
    (refused,) = [log for log in logs if log["body"] == "it refused ***"]
    assert refused["attributes"]["used"] == "***"
    assert refused["attributes"]["exception.type"] == "ValueError"
    assert refused["attributes"]["exception.message"] == "refused ***"
    assert refused["attributes"]["Component"] == "careless"
    assert refused["severity_number"] == 17
    assert not [log for log in logs if "library" in log["body"] or "exporter" in log["body"]]
    assert "a library says something" in errors


async def test_a_collector_and_an_observer_get_the_same_trace(prepared: Path) -> None:
    file = prepared / "observed"

    async def taken(_: ReceivedRequest) -> Answer:
        return Answer(headers={"Content-Type": "application/x-protobuf"})

    async with LoopbackServer(taken) as collector:
        environ = {"OBSERVED_FILE": str(file), "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        code, errors = await work(prepared, environ)
    assert code == 0, errors
    (trace,) = {span["context"]["trace_id"] for span in observed(file, "span") if span["name"] == "careless submit"}
    sent = b"".join(request.body for request in collector.requests if request.path == "/v1/traces")
    assert bytes.fromhex(trace.removeprefix("0x")) in sent
    assert b"Canary" not in sent


@pytest.mark.parametrize(
    "environ", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}]
)
async def test_what_the_environment_switches_off_is_not_sent(prepared: Path, environ: dict[str, str]) -> None:
    (prepared / "scanguard.yaml").write_text(CONFIG.replace("acme-careless", "acme"))
    code, errors = await work(prepared, {"OBSERVED_FILE": str(prepared / "observed"), **environ})
    assert code == 0, errors
    assert not (prepared / "observed").exists()


async def test_an_observer_that_breaks_stops_the_start_and_is_named(prepared: Path) -> None:
    code, errors = await work(prepared, {"OBSERVED_FILE": "broken"})
    assert code != 0
    assert "the observer 'acme-file' raised RuntimeError" in errors
    assert "OTEL_SDK_DISABLED=true" in errors


async def test_what_is_asked_for_by_hand_reaches_the_audit_of_observers(prepared: Path) -> None:
    (prepared / "scanguard.yaml").write_text(
        CONFIG.replace("acme-careless", "acme").replace("token:", "fails: true, token:")
    )
    code, errors = await work(prepared, {})
    assert code == 0, errors
    file = prepared / "observed"
    code, errors = await work(prepared, {"OBSERVED_FILE": str(file)}, "dead-letters replay --all")
    assert code == 0, errors
    (audit,) = observed(file, "log")
    assert audit["attributes"]["acme.event"] == "ScanguardAudit"
    assert (audit["attributes"]["Action"], audit["attributes"]["Actor"]) == ("dead_letter.replay", "cli")
