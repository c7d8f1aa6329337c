"""``/api/v1``: what the command line tells, over HTTP; filters, pages, and a description that is true."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from serving import KEY, READ_KEY, Serving, keys, serving
from starlette.routing import Route

from scanguard.app.stored import MAX_DEPTH, Place
from scanguard.engine.documents import Assessment, AssessmentState, OutboxItem, OutboxState
from scanguard.engine.store import Store
from scanguard.model.verdict import Outcome
from scanguard.ports import Lane
from scanguard.server.access import Access
from scanguard.server.app import routes
from scanguard.server.door import Door, StoreLimit
from scanguard.server.events import EventsEndpoint
from scanguard.server.health import Health
from scanguard.server.keys import KeyRing
from scanguard.server.limits import RateLimits, Slots
from scanguard.server.openapi import document
from scanguard.server.verdict_query import write_cursor
from scanguard.testing.commands import invoke
from scanguard.testing.samples import NOW, sample_id, sample_image_verdict, sample_report, sample_verdict

REPORT = sample_report()
IMAGE = sample_image_verdict(REPORT, Outcome.FAIL)
WEB = sample_verdict(images=[IMAGE])
CLEAN = sample_image_verdict(sample_report(gaps=False, findings=()), Outcome.PASS, name="python:3.12")
API = sample_verdict(Outcome.PASS, name="api", images=[CLEAN], decided_at=NOW - timedelta(days=3))
SENT = OutboxItem(
    id="item",
    assessment=WEB.id,
    revision=1,
    kind="sink",
    instance="results",
    lane=Lane.FRESH,
    state=OutboxState.DONE,
    created_at=NOW,
    delivered_at=NOW,
    lease="worker-7",
)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Serving]:
    async with serving(tmp_path) as server:
        backend = server.app.backend
        for verdict in (WEB, API):
            await backend.records.save(verdict)
        assert IMAGE.image is not None
        await backend.records.index(IMAGE.image.digest, ["CVE-2022-0778"])
        await backend.reports.put(str(IMAGE.merged), REPORT.model_dump_json().encode())
        await Store(backend.state).insert(SENT, None)
        yield server


async def get(server: Serving, path: str, **query: str | int) -> Any:
    answer = await server.client.get(f"/api/v1/{path}", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    conforms(answer.json(), path)
    return answer.json()


def conforms(answer: Any, path: str) -> None:
    """Check an answer against what the description says of its path; unknown keys count as wrong here."""
    name = "/api/v1/" + re.sub("[0-9a-f]{32}", "{id}", path)
    schema = document()["paths"][name]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    OAS31Validator({**schema, "components": document()["components"]}).validate(answer)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param({}, [WEB, API], id="everything, newest first"),
        pytest.param({"image": "python:3.12"}, [API], id="image"),
        pytest.param({"image": "shop.example/web:1.4"}, [WEB], id="another image"),
        pytest.param({"since": "2026-11-22"}, [WEB], id="since a day"),
        pytest.param({"severity": "high"}, [WEB], id="severity"),
        pytest.param({"resource": WEB.deployment.resource_id.upper()}, [WEB], id="resource in any case"),
        pytest.param({"severity": "HIGH", "image": "python:3.12"}, [], id="all conditions hold"),
        pytest.param({"image": "nobody:1"}, [], id="an image nobody runs"),
        pytest.param({"vulnerability": "cve-2022-0778"}, [WEB], id="vulnerability"),
        pytest.param({"limit": 1}, [WEB], id="limit"),
    ],
)
async def test_verdicts_are_listed_as_the_command_line_lists_them(
    server: Serving, tmp_path: Path, query: dict[str, str | int], found: list[Any]
) -> None:
    answer = await get(server, "verdicts", **query)
    options = [text for name, value in query.items() for text in (f"--{name}", str(value))]
    where = ["--config", str(tmp_path / "scanguard.yaml"), "--data-dir", str(tmp_path / "data")]
    told = await asyncio.to_thread(invoke, [*where, "results", "--format", "json", *options])

    assert [verdict["id"] for verdict in answer["verdicts"]] == [verdict.id for verdict in found]
    assert {key: value for key, value in answer.items() if key != "next_cursor"} == json.loads(told.stdout)
    assert bool(answer["reports"]) is ("vulnerability" in query)


async def test_a_verdict_and_its_explanation_are_those_of_the_command_line(server: Serving, tmp_path: Path) -> None:
    verdict = await get(server, f"verdicts/{WEB.id}")
    explained = await get(server, f"verdicts/{WEB.id}/explanation")
    where = ["--config", str(tmp_path / "scanguard.yaml"), "--data-dir", str(tmp_path / "data")]
    told = await asyncio.to_thread(invoke, [*where, "explain", "--format", "json", WEB.id])

    assert verdict["verdicts"] == [WEB.model_dump(mode="json")]
    assert list(verdict["reports"]) == [IMAGE.merged]
    assert explained == json.loads(told.stdout)
    assert explained["deliveries"][0]["instance"] == "results"
    assert "worker-7" not in json.dumps(explained)


async def test_pages_lead_through_everything_once_while_new_verdicts_come_in(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        records = server.app.backend.records
        stored = [
            sample_verdict(
                Outcome.PASS, name=f"old-{number}", images=[CLEAN], decided_at=NOW - timedelta(days=number // 3)
            )
            for number in range(25)
        ]
        for verdict in stored:
            await records.save(verdict)
        seen: list[str] = []
        query: dict[str, str | int] = {"limit": 4, "image": "python:3.12"}
        while True:
            answer = await get(server, "verdicts", **query)
            seen += [verdict["id"] for verdict in answer["verdicts"]]
            for number in range(7):
                name = f"new-{len(seen)}-{number}"
                later = NOW + timedelta(hours=len(seen), seconds=number)
                await records.save(sample_verdict(Outcome.PASS, name=name, images=[CLEAN], decided_at=later))
            if answer["next_cursor"] is None:
                break
            query["cursor"] = answer["next_cursor"]

    expected = sorted(stored, key=lambda verdict: (verdict.decided_at, verdict.id), reverse=True)
    assert seen == [verdict.id for verdict in expected]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        pytest.param("imagE=x", "there is no parameter 'imagE'; there are image", id="unknown"),
        pytest.param("image=a&image=b", "parameter 'image' stands there more than once", id="twice"),
        pytest.param("limit=0", "limit", id="limit too small"),
        pytest.param("limit=501", "limit", id="limit too large"),
        pytest.param("limit=x", "limit", id="limit that is none"),
        pytest.param("severity=terrible", "severity", id="severity"),
        pytest.param("since=yesterday", "since: write 30m", id="moment"),
        pytest.param("since=999999w", "since: write 30m", id="moment out of range"),
        pytest.param("image=", "image", id="empty"),
        pytest.param(f"image={'x' * 2000}", "image", id="too long"),
        pytest.param("cursor=%00", "cursor: give the next_cursor", id="cursor that is none"),
        pytest.param("cursor=W10", "cursor: give the next_cursor", id="cursor without parts"),
        pytest.param(f"cursor={write_cursor(Place(NOW, 'x', MAX_DEPTH + 1))}", "cursor", id="cursor too deep"),
        pytest.param(f"cursor={write_cursor(Place(NOW.replace(tzinfo=None), 'x', 1))}", "cursor", id="cursor, no zone"),
        pytest.param(f"code={KEY}", "there is no parameter 'code'", id="a key in the query"),
    ],
)
async def test_a_wrong_parameter_is_named(server: Serving, query: str, says: str) -> None:
    answer = await server.client.get(f"/api/v1/verdicts?{query}")

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:scanguard:problem:parameter"
    assert says in answer.json()["detail"]
    OAS31Validator({**document()["components"]["schemas"]["Problem"]}).validate(answer.json())


@pytest.mark.parametrize("suffix", ["", "/explanation"])
@pytest.mark.parametrize("id", [WEB.id[:8], "nobody", "x" * 500, "%27%20OR%201=1", "%F4%8F%BF%BF"])
async def test_an_id_that_is_not_there_is_not_found(server: Serving, id: str, suffix: str) -> None:
    answer = await server.client.get(f"/api/v1/verdicts/{id}{suffix}")

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:scanguard:problem:not-found"


async def test_an_assessment_that_found_its_deployment_gone_says_so(server: Serving) -> None:
    closed = Assessment(
        id=sample_id("gone"), event=WEB.event, state=AssessmentState.DONE, created_at=NOW, closed_at=NOW
    )
    await Store(server.app.backend.state).insert(closed, None)
    answer = await server.client.get(f"/api/v1/verdicts/{closed.id}")

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:scanguard:problem:closed"


async def test_why_an_assessment_was_given_up_is_told(server: Serving) -> None:
    letter = Assessment(
        id=sample_id("dead"),
        event=WEB.event,
        state=AssessmentState.DEAD,
        created_at=NOW,
        error="no platform knows it",
    )
    await Store(server.app.backend.state).insert(letter, None)
    answer = await server.client.get(f"/api/v1/verdicts/{letter.id}")

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:scanguard:problem:given-up"
    assert "no platform knows it" in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["verdicts", "verdicts/x", "verdicts/x/explanation", "dead-letters", "dead-letters/x", "openapi.json"]
)
async def test_reading_needs_a_key_for_reading_that_is_not_in_the_query(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path, keys=keys(tmp_path)) as server:
        address = f"/api/v1/{path}"
        bare = await server.client.get(address)
        query = await server.client.get(address, params={"code": READ_KEY})
        sender = await server.client.get(address, headers={"X-Scanguard-Key": KEY})
        reader = await server.client.get(address, headers={"X-Scanguard-Key": READ_KEY})

    assert (bare.status_code, query.status_code, sender.status_code) == (401, 401, 403)
    assert bare.headers["www-authenticate"]
    assert reader.status_code in (200, 404)


async def test_dead_letters_are_read_as_the_command_line_tells_them(server: Serving, tmp_path: Path) -> None:
    dead = Assessment(
        id=sample_id("gone"),
        event=WEB.event,
        state=AssessmentState.DEAD,
        created_at=NOW,
        error="no platform knows it",
        error_kind="PlatformError",
        attempts=5,
    )
    await Store(server.app.backend.state).insert(dead, None)
    await server.app.dead_letters._context.dead.note(dead)

    listed = await get(server, "dead-letters")
    (letter,) = listed["dead_letters"]
    assert (letter["id"], letter["error"], letter["attempts"]) == (dead.id, "no platform knows it", 5)
    assert "replay" in letter["remedy"]
    assert await get(server, f"dead-letters/{dead.id}") == listed
    assert (await get(server, "dead-letters", kind="scan"))["dead_letters"] == []
    told = await asyncio.to_thread(
        invoke, ["--data-dir", str(tmp_path / "data"), "dead-letters", "list", "--format", "json"]
    )
    assert json.loads(told.stdout) == listed


@pytest.mark.parametrize("query", ["kind=verdict", "limit=0", "limit=1001", "limit=x", "limit=%D9%A1", "sort=age"])
async def test_a_wrong_question_about_dead_letters_is_told(server: Serving, query: str) -> None:
    answer = await server.client.get(f"/api/v1/dead-letters?{query}")
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:scanguard:problem:parameter"


async def test_an_unknown_dead_letter_is_not_found(server: Serving) -> None:
    assert (await server.client.get("/api/v1/dead-letters/nobody")).status_code == 404


async def test_without_a_store_reading_is_told_to_come_again(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be", encoding="utf-8")
    async with serving(tmp_path) as server:
        answer = await server.client.get("/api/v1/verdicts")

    assert answer.status_code == 503
    assert "retry-after" in answer.headers


async def test_the_description_is_valid_and_names_every_route(server: Serving) -> None:
    described = await get(server, "openapi.json")
    OpenAPIV31SpecValidator(described).validate()

    access = Access(KeyRing([]), None)
    door = Door(access, RateLimits(1, 1, lambda: 0.0), Slots(1), StoreLimit(1.0))
    events = EventsEndpoint(server.app, server.app.settings.server, door)
    served = {
        (route.path, method.lower())
        for route in routes(server.app, events, door, Health(server.app.backend))
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    told = {(path, method) for path, item in described["paths"].items() for method in item}
    assert told == served
    assert described == json.loads(json.dumps(document()))
    assert "lease" not in json.dumps(described)


async def test_a_description_that_lies_would_be_seen(server: Serving) -> None:
    answer = await get(server, f"verdicts/{WEB.id}")
    del answer["verdicts"][0]["outcome"]
    with pytest.raises(Exception, match="'outcome' is a required property"):
        conforms(answer, f"verdicts/{WEB.id}")
