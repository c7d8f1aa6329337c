"""``results`` and ``explain``: what is stored, found again."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from scanguard.app.stored import parse_since
from scanguard.engine.documents import OutboxItem, OutboxState
from scanguard.model.verdict import Outcome
from scanguard.ports import Lane, Row
from scanguard.testing.commands import FakeApplication, invoke
from scanguard.testing.samples import NOW, sample_image_verdict, sample_report, sample_verdict

REPORT = sample_report()
IMAGE = sample_image_verdict(REPORT, Outcome.FAIL)
MERGED = {str(IMAGE.merged): REPORT}
WEB = sample_verdict(images=[IMAGE])
CLEAN = sample_image_verdict(sample_report(gaps=False, findings=()), Outcome.PASS, name="python:3.12")
API = sample_verdict(Outcome.PASS, name="api", images=[CLEAN], decided_at=NOW - timedelta(days=3))


def application() -> FakeApplication:
    return FakeApplication([WEB, API], MERGED)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        pytest.param([], {WEB.id, API.id}, id="everything"),
        pytest.param(["--image", "python:3.12"], {API.id}, id="image"),
        pytest.param(["--since", "2026-11-22"], {WEB.id}, id="since a day"),
        pytest.param(["--severity", "high"], {WEB.id}, id="severity"),
        pytest.param(["--resource", WEB.deployment.resource_id.upper()], {WEB.id}, id="resource in any case"),
        pytest.param(["--severity", "high", "--image", "python:3.12"], set(), id="all conditions hold"),
        pytest.param(["--limit", "1"], {WEB.id}, id="limit, newest first"),
    ],
)
def test_results_answer_what_people_ask(arguments: list[str], found: set[str]) -> None:
    result = invoke(["results", "--format", "json", *arguments], application())
    assert result.exit_code == 0
    assert {verdict["id"] for verdict in json.loads(result.stdout)["verdicts"]} == found


def test_results_say_when_there_may_be_more_and_when_there_is_nothing() -> None:
    assert "--limit lists more" in invoke(["results", "--limit", "1"], application()).stderr
    assert "No stored verdict matches." in invoke(["results", "--image", "nobody:1"], application()).stdout


def test_what_runs_a_vulnerability_now() -> None:
    app = application()
    assert IMAGE.image is not None
    asyncio.run(app.backend.records.index(IMAGE.image.digest, ["CVE-2022-0778"]))
    text = invoke(["results", "--vulnerability", "cve-2022-0778"], app).stdout
    assert "libssl1.1" in text
    assert "1.1.1d-0+deb10u8" in text
    assert "python:3.12" not in text
    assert "No deployment" in invoke(["results", "--vulnerability", "CVE-1999-1"], app).stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("24h", NOW - timedelta(hours=24), id="hours"),
        pytest.param("2w", NOW - timedelta(weeks=2), id="weeks"),
        pytest.param("2024-01-15", datetime(2024, 1, 15, tzinfo=UTC), id="day"),
        pytest.param("2024-01-15T10:00:00Z", datetime(2024, 1, 15, 10, tzinfo=UTC), id="zulu"),
        pytest.param("2024-01-15T10:00:00+02:00", datetime(2024, 1, 15, 8, tzinfo=UTC), id="zone"),
    ],
)
def test_moments_are_read(text: str, expected: datetime) -> None:
    assert parse_since(text, NOW) == expected


@pytest.mark.parametrize("text", ["yesterday", "24", "2024-13-01", "999999w", "", "-1h"])
def test_what_is_no_moment_is_refused_with_examples(text: str) -> None:
    result = invoke(["results", "--since", text], application())
    assert result.exit_code == 2
    assert "write 30m, 24h, 7d" in result.stderr


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        pytest.param(WEB.id, WEB, id="whole id"),
        pytest.param(WEB.id[:6], WEB, id="beginning of an id"),
        pytest.param(API.deployment.resource_id, API, id="resource"),
        pytest.param("python:3.12", API, id="image"),
    ],
)
def test_explain_finds_a_verdict_by_what_people_type(subject: str, found: object) -> None:
    result = invoke(["explain", "--format", "json", subject], application())
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["verdicts"][0]["id"] == getattr(found, "id", None)


def test_explain_tells_the_story_with_the_deliveries() -> None:
    app = application()
    item = OutboxItem(
        id="item", assessment=WEB.id, revision=1, kind="notifier", instance="ops", lane=Lane.FRESH,
        state=OutboxState.DEAD, created_at=NOW, attempts=5, error="403 from hooks.example\x1b[0m",
    )  # fmt: skip
    done = item.model_copy(
        update={"id": "done", "kind": "sink", "instance": "files", "state": OutboxState.DONE, "delivered_at": NOW,
                "reference": "web/scan.json"}
    )  # fmt: skip
    waiting = item.model_copy(update={"id": "waiting", "instance": "later", "state": OutboxState.PENDING})
    overtaken = item.model_copy(update={"id": "overtaken", "instance": "old", "state": OutboxState.OVERTAKEN})
    for one in (item, done, waiting, overtaken):
        row = Row(OutboxItem.TABLE, *one.address, body=one.model_dump(mode="json"))
        app.memory.state.rows[(row.table, row.partition, row.key)] = row
    text = invoke(["explain", WEB.id], app).stdout
    assert r"told by ops" in text
    assert r"after 5 attempts: 403 from hooks.example\x1b[0m" in text
    assert "delivered  just now, web/scan.json" in text
    assert "5 attempts so far" in text
    assert "told by old" not in text
    scanned = invoke(["scan", "x:1"], FakeApplication([API], memory=app.memory))
    assert scanned.exit_code == 0
    failing = invoke(
        ["scan", "x:1"], FakeApplication([sample_verdict(Outcome.PASS, images=[CLEAN])], memory=app.memory)
    )
    assert failing.exit_code == 12
    assert "Delivery failed: told by ops, after 5 attempts" in failing.stderr
    assert "1 delivery still to be made" in failing.stderr


def test_an_ambiguous_beginning_lists_the_ids() -> None:
    twins = [WEB.model_copy(update={"id": f"abcd{number:028d}"}) for number in range(2)]
    result = invoke(["explain", "abcd"], FakeApplication(twins))
    assert result.exit_code == 2
    assert twins[0].id in result.stderr
    assert twins[1].id in result.stderr


def test_nothing_found_says_where_to_look() -> None:
    result = invoke(["explain", "nobody/knows:\x1b[31m1"], application())
    assert result.exit_code == 2
    assert "scanguard results" in result.stderr
    assert "\x1b" not in result.stderr


def test_a_dead_letter_is_explained_by_its_reason() -> None:
    result = invoke(["explain", "deadbeef"], FakeApplication(letters={"deadbeef": "the platform never answered"}))
    assert result.exit_code == 2
    assert "the platform never answered" in result.stderr
