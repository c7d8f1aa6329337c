"""``POST /events`` and the handshakes, over real HTTP: what is acknowledged is durable, what is not comes again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from serving import GROUP, JSON, KEY, body, cloud_event, event, keys, serving


async def test_a_batch_in_the_event_grid_schema_is_durable_when_it_is_acknowledged(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        answer = await server.client.post("/events", content=body(event("a"), event("b")), headers=JSON)

        assert answer.status_code == 200
        assert len(answer.json()["accepted"]) == 2
        assert await server.accepted() == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(json.dumps(cloud_event("a")), "application/cloudevents+json; charset=utf-8", id="one"),
        pytest.param(json.dumps([cloud_event("a")]), "application/cloudevents-batch+json", id="batch"),
        pytest.param(json.dumps(event("a")), "application/json", id="one Event Grid event without a list"),
        pytest.param("\ufeff" + json.dumps([event("a")]), "Application/JSON", id="with a byte order mark"),
    ],
)
async def test_other_ways_to_send_an_event_are_understood(tmp_path: Path, content: str, kind: str) -> None:
    async with serving(tmp_path) as server:
        answer = await server.client.post("/events", content=content.encode(), headers={"Content-Type": kind})

        assert answer.status_code == 200, answer.text
        assert await server.accepted() == ["a"]


async def test_the_same_event_again_is_the_same_assessment(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        answers = [await server.client.post("/events", content=body(event("a")), headers=JSON) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [200, 200]
        assert answers[0].json()["accepted"] == answers[1].json()["accepted"]


async def test_one_broken_event_does_not_lose_the_good_ones_beside_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = event("b", eventTime="yesterday")
    async with serving(tmp_path) as server:
        answer = await server.client.post("/events", content=body(event("a"), broken, 7), headers=JSON)

        assert answer.status_code == 200
        assert (len(answer.json()["accepted"]), answer.json()["rejected"]) == (1, 2)
        assert await server.accepted() == ["a"]
    assert "rejected: event 2" in caplog.text
    assert "rejected: event 3" in caplog.text


async def test_events_about_something_else_are_acknowledged_and_dropped(tmp_path: Path) -> None:
    deleted = event("a", eventType="Microsoft.Resources.ResourceDeleteSuccess")
    async with serving(tmp_path) as server:
        answer = await server.client.post("/events", content=body(deleted), headers=JSON)

        assert answer.status_code == 200
        assert answer.json()["skipped"] == 1
        assert await server.accepted() == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"\xff\xfe\x00", id="no UTF-8"),
        pytest.param(b'"text"', id="no object"),
        pytest.param(b"[" * 100_000, id="deeply nested"),
        pytest.param(b'[{"a":' * 200 + b"1" + b"}]" * 200, id="nested too deep"),
        pytest.param(b'[{"eventType": NaN}]', id="not a number"),
        pytest.param(b"[" + b"9" * 20_000 + b"]", id="a huge number"),
        pytest.param(body(*[{}] * 5001), id="more than 5,000 events"),
        pytest.param(body(event("a", eventTime=3)), id="only a broken event"),
    ],
)
async def test_what_can_never_be_understood_is_refused_for_good(tmp_path: Path, content: bytes) -> None:
    async with serving(tmp_path) as server:
        answer = await server.client.post("/events", content=content, headers=JSON)

        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:scanguard:problem:unreadable"
        assert await server.accepted() == []


async def test_an_empty_batch_is_acknowledged(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        assert (await server.client.post("/events", content=b"[]", headers=JSON)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Content-Type": "text/plain"}, id="what a web page may send anywhere"),
        pytest.param({"Content-Type": "application/x-www-form-urlencoded"}, id="a form"),
        pytest.param({}, id="no type"),
        pytest.param({**JSON, "Content-Encoding": "gzip"}, id="compressed"),
    ],
)
async def test_a_body_of_another_type_is_not_read(tmp_path: Path, headers: dict[str, str]) -> None:
    async with serving(tmp_path) as server:
        answer = await server.client.post("/events", content=body(event("a")), headers=headers)

        assert answer.status_code == 415
        assert await server.accepted() == []


async def test_a_store_that_is_not_there_makes_the_sender_come_again(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be", encoding="utf-8")
    async with serving(tmp_path) as server:
        answer = await server.client.post("/events", content=body(event("a")), headers=JSON)

        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 30
        assert answer.json()["type"] == "urn:scanguard:problem:store-unavailable"
        assert str(tmp_path) not in answer.text


# --- handshakes ---------------------------------------------------------------------------------------------


def validation(**data: object) -> dict[str, Any]:
    return {
        "id": "1",
        "topic": "/subscriptions/s",
        "subject": "",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": "2026-01-01T00:00:00Z",
        "data": data,
        "dataVersion": "1",
        "metadataVersion": "1",
    }


HANDSHAKE = {**JSON, "aeg-event-type": "SubscriptionValidation"}


async def test_event_grids_handshake_is_answered_and_its_address_is_not_called(tmp_path: Path) -> None:
    async def called(request: object) -> Any:
        raise AssertionError(f"the server called {request}")

    from scanguard.testing.server import LoopbackServer  # noqa: PLC0415  # only here

    async with LoopbackServer(called) as other, serving(tmp_path) as server:
        code = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6"
        sent = body(validation(validationCode=code, validationUrl=f"{other.url}/confirm"))
        answer = await server.client.post("/events", content=sent, headers=HANDSHAKE)

        assert (answer.status_code, answer.json()) == (200, {"validationResponse": code})
        assert await server.accepted() == []
        assert other.requests == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({}, id="no code"),
        pytest.param({"validationCode": 7}, id="no text"),
        pytest.param({"validationCode": "x" * 600}, id="too long"),
    ],
)
async def test_a_handshake_without_a_code_is_refused(tmp_path: Path, data: dict[str, object]) -> None:
    async with serving(tmp_path) as server:
        answer = await server.client.post("/events", content=body(validation(**data)), headers=HANDSHAKE)

        assert answer.status_code == 400


async def test_an_event_that_only_mentions_the_handshake_is_an_event(tmp_path: Path) -> None:
    mentions = event("a", id="Microsoft.EventGrid.SubscriptionValidationEvent")
    async with serving(tmp_path) as server:
        answer = await server.client.post("/events", content=body(mentions), headers=JSON)

        assert "validationResponse" not in answer.json()
        assert await server.accepted() == ["a"]


async def test_the_handshake_needs_the_key_like_every_delivery(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=keys(tmp_path)) as server:
        sent = body(validation(validationCode="c"))
        refused = await server.client.post("/events", content=sent, headers=HANDSHAKE)
        answered = await server.client.post(f"/events?code={KEY}", content=sent, headers=HANDSHAKE)

        assert (refused.status_code, answered.status_code) == (401, 200)


async def test_the_cloudevents_handshake_lets_event_grid_in_and_nobody_else(tmp_path: Path) -> None:
    async with serving(tmp_path, rate_per_s=10, client_rate_per_s=50) as server:
        ask = {"WebHook-Request-Origin": "eventgrid.azure.net", "WebHook-Request-Rate": "120"}
        answer = await server.client.request("OPTIONS", "/events", headers=ask)
        other = await server.client.request("OPTIONS", "/events", headers={"WebHook-Request-Origin": "evil.example"})
        plain = await server.client.request("OPTIONS", "/events")

        assert answer.status_code == 200
        assert answer.headers["webhook-allowed-origin"] == "eventgrid.azure.net"
        assert answer.headers["webhook-allowed-rate"] == "600"
        assert not [name for name in (*other.headers, *plain.headers) if name.startswith("webhook")]
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_the_cloudevents_handshake_needs_the_key_where_keys_are_all_there_is(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=keys(tmp_path)) as server:
        ask = {"WebHook-Request-Origin": "eventgrid.azure.net"}
        assert (await server.client.request("OPTIONS", "/events", headers=ask)).status_code == 401
        assert (await server.client.request("OPTIONS", f"/events?code={KEY}", headers=ask)).status_code == 200


async def test_excluded_containers_are_not_accepted(tmp_path: Path) -> None:
    config = f"version: 1\nchains: {{default: {{}}}}\nexclude: ['{GROUP}/own']\nserver: {{port: 0}}\n"
    async with serving(tmp_path, config=config) as server:
        answer = await server.client.post("/events", content=body(event("OWN"), event("other")), headers=JSON)

        assert (len(answer.json()["accepted"]), answer.json()["skipped"]) == (1, 1)
        assert await server.accepted() == ["other"]
