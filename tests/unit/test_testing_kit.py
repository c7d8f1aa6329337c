"""The kit for plugin authors: the HTTPS service misbehaves on demand, and strategies make what the models allow."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings

from scanguard.hooks import Notice
from scanguard.http import HttpFactory, TransportError
from scanguard.model.deployment import Event
from scanguard.model.reference import ImageReference
from scanguard.model.report import ScanReport
from scanguard.model.verdict import MergedReport, Verdict
from scanguard.testing import strategies
from scanguard.testing.server import Answer
from scanguard.testing.service import FakeService

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
        "import sys, scanguard.testing, scanguard.testing.memory, scanguard.testing.service, scanguard.testing.server;"
        "print(sorted({'pytest', 'hypothesis', 'trustme'} & sys.modules.keys()))"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603  # this interpreter
    assert told.stdout.strip() == "[]"
