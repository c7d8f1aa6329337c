"""Azure's events: what becomes a deployment, what is skipped, what is refused, what is forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scanguard.builtin.plugin import scanguard_event_sources
from scanguard.errors import EventError
from scanguard.hooks import EventSourceSpec
from scanguard.intake import MAX_EVENTS, MAX_PAYLOAD_BYTES, ParsedEvents, parse_events

DATA = Path(__file__).parent / "data" / "eventgrid"
SOURCES = tuple(scanguard_event_sources())
SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP = f"{SUBSCRIPTION}/resourcegroups/rg-shop/providers/Microsoft.ContainerInstance/containerGroups/api1"
OBJECT_ID = "22222222-2222-2222-2222-222222222222"
APP_ID = "33333333-3333-3333-3333-333333333333"
CLAIMS = {
    "appid": APP_ID,
    "ipaddr": "203.0.113.7",
    "name": "Ana Dev",
    "http://schemas.microsoft.com/identity/claims/objectidentifier": OBJECT_ID,
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "ana@example.com",
}


def data(**changes: Any) -> dict[str, Any]:
    written = {
        "authorization": {"action": "Microsoft.ContainerInstance/containerGroups/write"},
        "claims": CLAIMS,
        "httpRequest": {"clientIpAddress": "203.0.113.7"},
        "resourceUri": GROUP,
        "operationName": "Microsoft.ContainerInstance/containerGroups/write",
    }
    return {key: value for key, value in {**written, **changes}.items() if value != "absent"}


def eventgrid(**changes: Any) -> dict[str, Any]:
    return {
        "id": "4db48cba-50a2-455a-93b4-de41a3b5b7f6",
        "topic": SUBSCRIPTION,
        "subject": GROUP,
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": "2026-03-01T18:38:04.6117357Z",
        "data": data(),
        "dataVersion": "2",
        "metadataVersion": "1",
        **changes,
    }


def cloudevent(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "4db48cba-50a2-455a-93b4-de41a3b5b7f6",
        "source": SUBSCRIPTION,
        "type": "Microsoft.Resources.ResourceWriteSuccess",
        "subject": GROUP,
        "time": "2026-03-01T18:38:04.6117357Z",
        "data": data(),
        **changes,
    }


def parse(*events: Any) -> ParsedEvents:
    return parse_events(json.dumps(list(events)).encode(), SOURCES)


@pytest.mark.parametrize("make", [eventgrid, cloudevent])
def test_a_written_container_group_becomes_an_event_of_ids_only(make: Callable[..., dict[str, Any]]) -> None:
    (event,) = parse(make()).events
    assert (event.resource_id, event.source, event.actor) == (GROUP, SUBSCRIPTION, OBJECT_ID)
    assert event.time == datetime(2026, 3, 1, 18, 38, 4, 611735, tzinfo=UTC)
    kept = event.model_dump_json()
    assert not any(personal in kept for personal in ("Ana", "203.0.113.7", "example.com"))


@pytest.mark.parametrize("payload", [eventgrid(), [eventgrid()]], ids=["object", "list"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte-order-mark"])
def test_one_event_or_a_list_with_or_without_a_mark_is_read(payload: Any, mark: bytes) -> None:
    assert len(parse_events(mark + json.dumps(payload).encode(), SOURCES).events) == 1


@pytest.mark.parametrize(
    "operation",
    [
        "Microsoft.ContainerInstance/containerGroups/write",
        "MICROSOFT.CONTAINERINSTANCE/CONTAINERGROUPS/WRITE",
        "Microsoft.App/containerApps/write",
        "microsoft.app/containerapps/write",
        "Microsoft.App/jobs/write",
    ],
)
def test_every_write_of_a_workload_counts_in_any_case(operation: str) -> None:
    (event,) = parse(eventgrid(data=data(operationName=operation))).events
    assert event.operation == operation


@pytest.mark.parametrize("make", [eventgrid, cloudevent])
@pytest.mark.parametrize(
    "operation",
    [
        "Microsoft.ContainerInstance/containerGroups/delete",
        "MICROSOFT.APP/CONTAINERAPPS/DELETE",
        "Microsoft.App/jobs/delete",
    ],
)
def test_a_deletion_of_a_workload_becomes_an_event_that_says_so(
    make: Callable[..., dict[str, Any]], operation: str
) -> None:
    kind = "eventType" if make is eventgrid else "type"
    deleted = {kind: "Microsoft.Resources.ResourceDeleteSuccess", "data": data(operationName=operation)}
    (event,) = parse(make(**deleted)).events
    assert event.is_deletion
    assert (event.resource_id, event.actor) == (GROUP, OBJECT_ID)


def test_a_deletion_without_data_is_of_what_its_subject_names() -> None:
    (event,) = parse(cloudevent(type="Microsoft.Resources.ResourceDeleteSuccess", data=None)).events
    assert event.operation == "Microsoft.ContainerInstance/containerGroups/delete"


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(
            eventgrid(
                eventType="Microsoft.Resources.ResourceDeleteSuccess",
                data=data(operationName="Microsoft.App/containerApps/revisions/delete"),
            ),
            id="part-of-a-workload-deleted",
        ),
        pytest.param(eventgrid(data=data(operationName="Microsoft.Resources/tags/write")), id="our-own-tags"),
        pytest.param(
            eventgrid(data=data(operationName="Microsoft.Storage/storageAccounts/write")), id="other-resource"
        ),
        pytest.param(eventgrid(eventType="Microsoft.Resources.ResourceDeleteSuccess"), id="deletion-of-a-write"),
        pytest.param(eventgrid(eventType="Microsoft.Resources.ResourceWriteFailure"), id="failed-write"),
        pytest.param(eventgrid(eventType="Microsoft.EventGrid.SubscriptionValidationEvent"), id="validation"),
        pytest.param(cloudevent(type="com.example.something"), id="other-cloudevent"),
        pytest.param({"hello": "world"}, id="no-schema-at-all"),
    ],
)
def test_an_event_about_something_else_is_skipped_and_said(event: dict[str, Any]) -> None:
    parsed = parse(event)
    assert (parsed.events, parsed.rejected) == ((), ())
    assert "event 1" in parsed.skipped[0]


@pytest.mark.parametrize("name", ["resource-write-success", "resource-action-success", "acr-events"])
def test_microsofts_own_samples_of_other_resources_are_skipped(name: str) -> None:
    payload = (DATA / f"{name}.json").read_bytes()
    parsed = parse_events(payload, SOURCES)
    assert len(parsed.skipped) == len(json.loads(payload))


def test_microsofts_own_sample_is_an_event_once_it_names_a_container_group() -> None:
    sample = (DATA / "resource-write-success.json").read_text()
    sample = sample.replace("{subscription-id}", "s-1").replace("{resource-group}", "rg")
    sample = sample.replace("Microsoft.Storage/storageAccounts", "Microsoft.ContainerInstance/containerGroups")
    (event,) = parse_events(sample.replace("{storage-name}", "api").encode(), SOURCES).events
    assert event.resource_id.endswith("containerGroups/api")
    assert event.actor is None, "the sample's '{ID}' is no id"


@pytest.mark.parametrize("part", ["authorization", "claims", "httpRequest"])
@pytest.mark.parametrize("form", [json.dumps, lambda _: None, lambda _: "absent", lambda _: ""],
                         ids=["json-text", "null", "absent", "empty-text"])  # fmt: skip
def test_parts_may_come_as_json_text_or_not_at_all(part: str, form: Callable[[Any], Any]) -> None:
    (event,) = parse(eventgrid(data=data(**{part: form(data()[part])}))).events
    assert event.resource_id == GROUP


@pytest.mark.parametrize(
    ("claims", "actor"),
    [
        pytest.param({"appid": APP_ID}, APP_ID, id="application"),
        pytest.param({"APPID": APP_ID}, APP_ID, id="upper-case-claim"),
        pytest.param(json.dumps(CLAIMS), OBJECT_ID, id="json-text"),
        pytest.param({"appid": "ana@example.com"}, None, id="a-name-where-an-id-belongs"),
        pytest.param({"appid": 7}, None, id="a-number"),
        pytest.param({"name": "Ana"}, None, id="only-a-name"),
    ],
)
def test_of_the_caller_only_an_id_is_kept(claims: Any, actor: str | None) -> None:
    assert parse(eventgrid(data=data(claims=claims))).events[0].actor == actor


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(eventgrid(data=data(resourceUri="absent")), id="only-the-subject-names-it"),
        pytest.param(eventgrid(subject=""), id="only-the-data-names-it"),
        pytest.param(eventgrid(data=data(operationName="absent")), id="operation-only-in-the-authorization"),
        pytest.param(cloudevent(data=None), id="cloudevent-without-data"),
        pytest.param(cloudevent(data=json.dumps(data())), id="data-as-text"),
        pytest.param(eventgrid(data=data(resourceUri=GROUP + "/")), id="trailing-slash"),
    ],
)
def test_what_is_missing_is_taken_from_where_it_also_stands(event: dict[str, Any]) -> None:
    (parsed,) = parse(event).events
    assert parsed.resource_id == GROUP
    assert parsed.operation.lower() == "microsoft.containerinstance/containergroups/write"


@pytest.mark.parametrize(
    ("event", "says"),
    [
        pytest.param(eventgrid(id=None), "id", id="no-id"),
        pytest.param(eventgrid(id="x" * 300), "id", id="long-id"),
        pytest.param(eventgrid(eventTime="yesterday"), "time", id="no-time"),
        pytest.param(eventgrid(eventTime="2026-03-01T18:38:04"), "time", id="time-without-zone"),
        pytest.param(eventgrid(eventTime="0001-01-01T00:00:00+14:00"), "time", id="time-before-time"),
        pytest.param(eventgrid(eventTime=5), "eventTime", id="time-as-number"),
        pytest.param(eventgrid(eventType=7), "eventType", id="type-as-number"),
        pytest.param(eventgrid(data=[1]), "data", id="data-as-list"),
        pytest.param(eventgrid(data=data(claims="{")), "claims", id="broken-claims"),
        pytest.param(eventgrid(data=data(claims="[" * 60_000)), "claims", id="deep-claims"),
        pytest.param(eventgrid(data=data(resourceUri="../../x")), "no Azure resource", id="no-resource-id"),
        pytest.param(eventgrid(data=data(resourceUri=GROUP + "\n")), "no Azure resource", id="line-break-in-the-id"),
        pytest.param(eventgrid(data=data(resourceUri=GROUP + "x" * 3000)), "resource_id", id="long-resource-id"),
        pytest.param(eventgrid(data=data(resourceUri=GROUP + "\ud800")), "resource_id", id="half-a-character"),
        pytest.param(cloudevent(specversion="0.3"), "specversion", id="old-cloudevent"),
        pytest.param("text", "not a JSON object", id="no-object"),
    ],
)
def test_a_broken_event_is_rejected_with_its_reason_and_the_others_go_on(event: Any, says: str) -> None:
    parsed = parse(event, eventgrid())
    assert len(parsed.events) == 1
    assert parsed.rejected[0].startswith("event 1")
    assert says in parsed.rejected[0]
    assert len(parsed.rejected[0]) < 500


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b"{", "not JSON: .* line 1", id="cut-off"),
        pytest.param(b"\xff\xfe", "UTF-8", id="not-text"),
        pytest.param(b"7", "neither", id="a-number"),
        pytest.param(b"[NaN]", "number", id="nan"),
        pytest.param(b"9" * 5000, "number", id="long-number"),
        pytest.param(b"[" * 100_000, "nested", id="deep"),
        pytest.param(b"[" * 65 + b"]" * 65, "nested", id="just-too-deep"),
        pytest.param(b" " * (MAX_PAYLOAD_BYTES + 1), "limit", id="too-long"),
        pytest.param(b"[" + b"0," * MAX_EVENTS + b"0]", "5,001 events", id="too-many"),
    ],
)
def test_a_payload_that_is_no_list_of_events_is_refused_as_a_whole(payload: bytes, says: str) -> None:
    with pytest.raises(EventError, match=says):
        parse_events(payload, SOURCES)


def test_a_payload_may_be_longer_where_the_caller_says_so() -> None:
    payload = b" " * MAX_PAYLOAD_BYTES + b"[]"
    assert parse_events(payload, SOURCES, max_bytes=2 * MAX_PAYLOAD_BYTES) == ParsedEvents(())


@pytest.mark.parametrize(
    ("answer", "says"), [(ZeroDivisionError(), "ZeroDivisionError"), ("text", "answered with a str")], ids=str
)
def test_an_event_source_that_misbehaves_spoils_only_its_own_event(answer: object, says: str) -> None:
    def misbehave(event: object) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    bad = EventSourceSpec(name="bad", accepts=lambda event: "bad" in event, parse=misbehave)
    parsed = parse_events(json.dumps([{"bad": 1}, eventgrid()]).encode(), (bad, *SOURCES))
    assert len(parsed.events) == 1
    assert says in parsed.rejected[0]


def test_an_event_that_the_first_source_finds_nothing_in_is_for_the_next_that_accepts_it() -> None:
    pushed = {"id": "1", "eventType": "Microsoft.ContainerRegistry.ImagePushed", "subject": "a:1"}
    event = parse(eventgrid()).events[0]
    later = EventSourceSpec(name="later", accepts=lambda one: one.get("subject") == "a:1", parse=lambda _: event)

    assert parse_events(json.dumps(pushed).encode(), (*SOURCES, later)).events == (event,)
