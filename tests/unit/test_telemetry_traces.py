"""One trace from an event to its notification, whoever handles the messages in between."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from metered import events, write_configuration
from opentelemetry.trace import SpanKind, StatusCode
from traced import Spans, collecting_spans, links_of, said, trace_of

from scanguard.app import App, AppOptions
from scanguard.ports import Message, MessageKind
from scanguard.testing.rig import Rig

CANARY = "hunter2-canary"


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppOptions:
    monkeypatch.setenv("ACME_TOKEN", CANARY)
    config = write_configuration(tmp_path)
    environ = {"SCANGUARD_PLUGINS": "telemetry_plugin"}
    return AppOptions(config=(config,), data_dir=tmp_path / "data", environ=environ)


async def test_one_trace_leads_from_an_image_to_the_notification_about_it(options: AppOptions, tmp_path: Path) -> None:
    with collecting_spans() as spans:
        async with App.load(options) as app:
            images = await app.accept_images([f"oci:{tmp_path / 'image'}"])
        async with App.load(options) as app:  # another process, as far as the engine knows
            await asyncio.wait_for(app.work(until=images), 20)
    (begun,) = spans.named("send intake")
    assert begun.kind is SpanKind.PRODUCER
    assert said(begun, "scanguard.assessment") == images[0]
    names = {span.name for span in spans.of(trace_of(begun))}
    assert names >= {
        "process intake",
        "process scan",
        "process assess",
        "process deliver",
        "image describe",
        "looks submit",
        "threshold evaluate",
        "pager send",
    }
    handled = [span for span in spans.all() if span.name.startswith("process ")]
    assert {span.kind for span in handled} == {SpanKind.CONSUMER}
    assert {trace_of(span) for span in handled} == {trace_of(begun)}
    assert {said(span, "messaging.destination.name") for span in handled} == {"fresh"}
    assert {said(span, "scanguard.assessment") for span in spans.named("process deliver")} == {images[0]}
    refused = spans.named("refuses submit")[0]
    assert refused.status.status_code is StatusCode.ERROR
    assert [dict(event.attributes or {}) for event in refused.events] == [
        {
            "exception.type": "scanguard.errors.ScanUnsupportedError",
            "exception.message": "this scanner knows no such image",
            "scanguard.component": "refuses",
        }
    ]
    assert not canaries(spans)


async def test_every_event_of_a_batch_has_a_trace_of_its_own(options: AppOptions) -> None:
    batch = json.loads(events())
    batch.append(
        {**batch[0], "id": "b", "data": {**batch[0]["data"], "resourceUri": f"{batch[0]['data']['resourceUri']}b"}}
    )
    with collecting_spans() as spans:
        async with App.load(options) as app:
            accepted = await app.accept(json.dumps(batch).encode())
    (whole,) = spans.named("accept events")
    assert whole.kind is SpanKind.SERVER
    assert (said(whole, "scanguard.accepted"), said(whole, "scanguard.skipped"), said(whole, "scanguard.rejected")) == (
        2,
        1,
        1,
    )
    begun = spans.named("send intake")
    assert {said(span, "scanguard.assessment") for span in begun} == set(accepted.ids)
    assert len({trace_of(span) for span in [whole, *begun]}) == 3
    assert all(links_of(span) == {trace_of(whole)} for span in begun)


async def test_a_scan_belongs_to_who_asked_first_and_links_to_everybody_who_waits() -> None:
    rig = Rig()
    with collecting_spans() as spans:
        for name in ("a", "b"):
            rig.deploy(f"/{name}", "app:1")
            await announce(rig, f"/{name}", given(name))
        await rig.run()
    scans = spans.named("process scan")
    assert {trace_of(span) for span in scans} == {ord("a")}
    assert set.union(*(links_of(span) for span in scans)) >= {ord("b")}
    assert {ord("a"), ord("b")} == {trace_of(span) for span in spans.named("process assess")}
    opened = [span for span in spans.named("process intake") if trace_of(span) == ord("b")]
    assert links_of(opened[0]) == {ord("a")}


@pytest.mark.parametrize("kind", ["assessment", "task", "outbox"])
async def test_work_that_state_wakes_goes_on_with_its_trace(kind: str) -> None:
    rig = Rig()
    rig.deploy("/a", "app:1")
    await announce(rig, "/a", given("a"))
    while not any(table == kind and row.due for (table, *_), row in rig.memory.state.rows.items()):
        assert await rig.work_once()
    rig.memory.queue.items.clear()  # every message is lost
    rig.memory.clock.moment += timedelta(hours=1)
    with collecting_spans() as spans:
        await rig.run()
    woken = spans.named({"assessment": "process assess", "task": "process scan", "outbox": "process deliver"}[kind])
    assert woken
    assert {trace_of(span) for span in spans.all() if span.name.startswith("process")} == {ord("a")}


async def test_a_trace_is_handed_on_by_a_worker_that_sends_none() -> None:
    rig = Rig()
    rig.deploy("/a", "app:1")
    await announce(rig, "/a", given("a"))
    handed = set()
    while rig.memory.queue.items:
        handed |= {(item.message.kind, item.message.traceparent) for item in rig.memory.queue.items if item.message}
        await rig.work_once()
    assert {kind for kind, _ in handed} == {
        MessageKind.INTAKE,
        MessageKind.SCAN,
        MessageKind.ASSESS,
        MessageKind.DELIVER,
    }
    assert {trace for _, trace in handed} == {given("a")}


async def test_the_look_at_what_is_overdue_makes_no_span() -> None:
    rig = Rig()
    with collecting_spans() as spans:
        await rig.sweep()
    assert spans.all() == ()


async def test_what_the_sender_did_not_sample_is_not_sampled_here() -> None:
    rig = Rig()
    rig.deploy("/a", "app:1")
    await announce(rig, "/a", given("a")[:-2] + "00")
    with collecting_spans() as spans:
        await rig.run()
    assert rig.assessments()
    assert spans.all() == ()


@pytest.mark.parametrize("odd", ["", "garbage", "00-" + "g" * 32 + "-0000000000000001-01", "x" * 100_000, 7, None])
def test_a_message_with_an_odd_trace_is_a_message_without_one(odd: object) -> None:
    message = Message.model_validate({"kind": "assess", "id": "a", "traceparent": odd})
    assert message.traceparent == ""
    assert "traceparent" not in message.model_dump_json()


def test_a_message_without_a_trace_is_written_as_older_workers_read_it() -> None:
    assert set(Message(kind=MessageKind.ASSESS, id="a").model_dump()) == {
        "schema_version",
        "kind",
        "id",
        "lane",
        "body",
    }
    assert Message.model_validate_json(
        Message(kind=MessageKind.ASSESS, id="a", traceparent=given("a")).model_dump_json()
    )


async def announce(rig: Rig, resource: str, traceparent: str) -> None:
    """An event whose intake began this trace."""
    await rig.announce(resource)
    item = rig.memory.queue.items[-1]
    assert item.message is not None
    item.message = item.message.model_copy(update={"traceparent": traceparent})


def given(name: str) -> str:
    return f"00-{ord(name):032x}-{1:016x}-01"


def canaries(spans: Spans) -> list[str]:
    return [span.to_json() for span in spans.all() if CANARY in span.to_json()]
