"""The kit for plugin authors: the HTTPS service misbehaves on demand, and strategies make what the models allow."""

from __future__ import annotations

import ast
import json
import pkgutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from scanguard import testing
from scanguard.errors import ScannerThrottledError
from scanguard.hooks import Notice, ScanRequest, Ticket
from scanguard.http import HttpFactory, TimeoutException, TransportError
from scanguard.model.deployment import Event
from scanguard.model.merged import MergedReport
from scanguard.model.reference import ImageReference
from scanguard.model.report import ScanReport
from scanguard.model.verdict import Verdict
from scanguard.testing import (
    NOW,
    Answer,
    FakeService,
    LoopbackServer,
    ReceivedRequest,
    ScriptedScanner,
    WatchedHttp,
    sample_image,
    scripted_report,
    strategies,
)

quick = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


async def test_the_service_speaks_https_to_who_trusts_it_and_remembers_what_it_was_sent() -> None:
    async with FakeService(Answer(429, headers={"Retry-After": "7"}), Answer(200, b"{}")) as service:
        async with HttpFactory(ca_file=service.ca_file).client(base_url=service.url) as client:
            first = await client.post("/scan", json={"image": "x"}, headers={"Authorization": "Bearer t"})
            second, third = await client.get("/scan?key=1"), await client.get("/again")
        async with HttpFactory().client(base_url=service.url) as stranger:
            with pytest.raises(TransportError):
                await stranger.post("/scan")
        seen = service.requests

    assert (first.status_code, first.headers["retry-after"]) == (429, "7")
    assert (second.status_code, third.status_code) == (200, 200), "the last answer stays"
    assert [(one.method, one.path) for one in seen] == [("POST", "/scan"), ("GET", "/scan"), ("GET", "/again")]
    assert seen[0].headers["authorization"] == "Bearer t"
    assert seen[0].body == b'{"image":"x"}'
    assert seen[1].query == {"key": ["1"]}


async def test_the_service_can_be_cut_off_in_the_middle() -> None:
    async with (
        FakeService(Answer(200, b"a whole report", cut_at=3)) as service,
        HttpFactory(ca_file=service.ca_file).client(base_url=service.url, attempts=1) as client,
    ):
        with pytest.raises(TransportError):
            await client.post("/scan")


@quick
@given(strategies.scan_reports())
def test_reports_survive_storage(report: ScanReport) -> None:
    assert ScanReport.model_validate_json(report.model_dump_json()) == report


@quick
@given(strategies.notices())
def test_notices_hold_together(notice: Notice) -> None:
    named = {image.merged for image in notice.verdict.images}
    assert named == set(notice.reports)
    assert Verdict.model_validate_json(notice.verdict.model_dump_json()) == notice.verdict
    for report in notice.reports.values():
        assert MergedReport.model_validate_json(report.model_dump_json()) == report


@quick
@given(strategies.image_names(), strategies.events())
def test_names_are_references_and_events_are_trimmed(name: str, event: Event) -> None:
    ImageReference.parse(name)
    assert Event.model_validate_json(event.model_dump_json()) == event


def test_the_kit_itself_loads_no_test_library() -> None:
    code = (
        "import sys; from scanguard.testing import *; from scanguard.testing import scripted;"
        "print(sorted({'pytest', 'hypothesis', 'trustme'} & sys.modules.keys()))"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603  # this interpreter
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer.garbage(), id="garbage"),
        pytest.param(Answer.cut_off(b"a whole report", at=3), id="cut off"),
    ],
)
async def test_a_service_that_breaks_the_protocol_is_a_transport_error(answer: Answer) -> None:
    async with FakeService(answer) as service:
        async with HttpFactory(ca_file=service.ca_file).client(base_url=service.url, attempts=1) as client:
            with pytest.raises(TransportError):
                await client.post("/scan")
        assert len(service.requests) == 1


async def test_a_service_can_send_elsewhere_and_ask_to_be_left_alone() -> None:
    async with (
        FakeService(Answer.redirect("/login"), Answer.throttled(7)) as service,
        HttpFactory(ca_file=service.ca_file).client(base_url=service.url) as client,
    ):
        sent, told = await client.get("/scan"), await client.get("/scan")
    assert (sent.status_code, sent.headers["location"]) == (302, "/login")
    assert (told.status_code, told.headers["retry-after"]) == (429, "7")


async def test_a_service_that_hangs_stops_when_the_test_does() -> None:
    started = time.monotonic()
    async with (
        FakeService(Answer.hanging()) as service,
        HttpFactory(ca_file=service.ca_file).client(base_url=service.url, timeout_s=0.2) as client,
    ):
        with pytest.raises(TimeoutException):
            await client.post("/scan")
    assert time.monotonic() - started < 5


async def test_requests_are_turned_elsewhere_whatever_their_url_says() -> None:
    async with LoopbackServer(_ok) as server:
        http = WatchedHttp(elsewhere=server.url)
        async with http.client(base_url="https://scanner.example:8443", headers={"X-Key": "k"}) as client:
            answer = await client.get("/scans/a%20b", params={"q": "1"})
        seen = server.requests
    assert answer.status_code == 200
    assert http.asked == 1
    assert [(one.target, one.headers["x-key"], one.headers["host"]) for one in seen] == [
        ("/scans/a%20b?q=1", "k", "scanner.example:8443")
    ]


async def _ok(_: ReceivedRequest) -> Answer:
    return Answer(200)


async def test_a_scripted_scanner_follows_its_script_and_remembers() -> None:
    image = sample_image()
    request = ScanRequest(key="k", image=image, deadline=NOW)
    ticket = Ticket(value={"scan": 1}, not_before=NOW)
    report = scripted_report(image, gaps=["PyPI"])
    scanner = ScriptedScanner(ScannerThrottledError("later", retry_after_s=7), ticket, report, found=ticket)

    with pytest.raises(ScannerThrottledError):
        await scanner.submit(request)
    assert await scanner.submit(request) == ticket
    assert await scanner.find(request) == ticket
    assert [await scanner.poll(ticket) for _ in range(2)] == [report, report], "the last answer stays"
    await scanner.aclose()

    assert (scanner.submitted, scanner.polled, scanner.is_closed) == ([request] * 2, [ticket] * 2, True)
    assert [gap.subject for gap in report.coverage.gaps] == ["PyPI"]
    assert scripted_report(image).coverage.is_complete


def test_every_public_name_of_the_kit_resolves_has_a_docstring_and_is_seen_by_type_checkers() -> None:
    tree = ast.parse(Path(testing.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {one.name: node.module for node in ast.walk(block) if isinstance(node, ast.ImportFrom) for one in node.names}
    assert seen == testing._HOME_OF
    assert sorted(testing.__all__) == sorted(seen)
    found = {name: getattr(testing, name) for name in testing.__all__}
    assert [name for name, one in found.items() if callable(one) and not one.__doc__] == []
    modules = {one.name for one in pkgutil.iter_modules(testing.__path__)}
    assert not modules & found.keys(), "once it is loaded, a module hides what has its name"
    with pytest.raises(AttributeError, match="no_such_fake"):
        _ = testing.no_such_fake


@quick
@given(strategies.json_objects(like={"id": "1", "data": {"name": "x"}}))
def test_objects_like_an_example_have_no_other_keys_and_are_json(made: dict[str, Any]) -> None:
    assert made.keys() <= {"id", "data"}
    json.dumps(made)
