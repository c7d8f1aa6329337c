"""Reports are found by digest, in a folder or an HTTP store, and only ever inside it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scanguard_reports.config import ReportsConfig
from scanguard_reports.place import check_template, place_of
from scanguard_reports.scanner import ReportsScanner

from scanguard.errors import (
    ScanguardError,
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanTargetNotFoundError,
    ScanUnsupportedError,
)
from scanguard.hooks import PluginContext, ScanRequest, Ticket
from scanguard.http import HttpFactory
from scanguard.model.image import ResolvedImage
from scanguard.model.reference import ImageReference
from scanguard.model.report import ScanReport
from scanguard.testing.contexts import make_context
from scanguard.testing.memory import ManualClock
from scanguard.testing.samples import NOW, sample_image
from scanguard.testing.server import Answer
from scanguard.testing.service import FakeService

DATA = Path(__file__).parent / "data"
TRIVY = json.loads((DATA / "trivy" / "debian-buster.json").read_bytes())


def image(**changes: Any) -> ResolvedImage:
    return sample_image().model_copy(
        update={
            "reference": ImageReference.parse("acme.example:5000/shop/api:1.4"),
            "config_digest": TRIVY["Metadata"]["ImageID"],
            **changes,
        }
    )


def request_for(resolved: ResolvedImage) -> ScanRequest:
    return ScanRequest(key="key", image=resolved, deadline=NOW + timedelta(hours=1))


def scanner(folder: Path, context: PluginContext | None = None, **options: Any) -> ReportsScanner:
    given_context = context or make_context(folder, clock=ManualClock(NOW))
    given_options = options if "url" in options else {"folder": "reports", **options}
    return ReportsScanner(ReportsConfig.model_validate(given_options), given_context)


def put(folder: Path, resolved: ResolvedImage, content: bytes = b"", template: str = "{algorithm}-{hex}.json") -> Path:
    path = folder / "reports" / place_of(template, resolved)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content or json.dumps(TRIVY).encode())
    return path


async def test_a_report_in_a_folder_becomes_ours(tmp_path: Path) -> None:
    put(tmp_path, image())
    report = await scanner(tmp_path).submit(request_for(image()))
    assert isinstance(report, ScanReport)
    assert len(report.findings) == 2
    assert report.confirmed, "it names the image's config"
    assert report.scanner.tool == "trivy"
    assert report.finished_at.year == 2021, "when it was made, not when it was read"


async def test_a_report_about_another_image_is_refused_and_one_about_none_is_unconfirmed(tmp_path: Path) -> None:
    other = image(config_digest=f"sha256:{'9' * 64}")
    put(tmp_path, other)
    with pytest.raises(ScannerOutputError, match="not about"):
        await scanner(tmp_path).submit(request_for(other))
    put(tmp_path, image(), (DATA / "snyk" / "snykcontainer_issue_epss.json").read_bytes())
    report = await scanner(tmp_path).submit(request_for(image()))
    assert isinstance(report, ScanReport)
    assert not report.confirmed


async def test_a_report_that_is_not_there_is_said_with_its_place_or_waited_for(tmp_path: Path) -> None:
    with pytest.raises(ScanTargetNotFoundError, match=r"reports/sha256-"):
        await scanner(tmp_path).submit(request_for(image()))

    clock = ManualClock(NOW)
    waiting = scanner(tmp_path, make_context(tmp_path, clock=clock), wait_s=100, every_s=40)
    ticket = await waiting.submit(request_for(image()))
    assert isinstance(ticket, Ticket)
    assert ticket.not_before == NOW + timedelta(seconds=40)
    clock.advance(40)
    assert isinstance(await waiting.poll(ticket), Ticket)
    put(tmp_path, image())
    assert isinstance(await waiting.poll(ticket), ScanReport)
    clock.advance(100)
    (tmp_path / "reports").rename(tmp_path / "gone")
    with pytest.raises(ScanTargetNotFoundError, match="100 s after"):
        await waiting.poll(ticket)


async def test_an_old_report_covers_in_part_only(tmp_path: Path) -> None:
    put(tmp_path, image())
    report = await scanner(tmp_path, max_age_days=30).submit(request_for(image()))
    assert isinstance(report, ScanReport)
    assert [gap.subject for gap in report.coverage.gaps] == ["age of the report"]


async def test_a_report_that_is_too_large_or_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, image())
    with pytest.raises(ScannerOutputError, match="more than 1,024 bytes"):
        await scanner(tmp_path, max_bytes=1024).submit(request_for(image()))
    outside = tmp_path / "outside.json"
    path.rename(outside)
    path.symlink_to(outside)
    with pytest.raises(ScannerOutputError, match="leads out"):
        await scanner(tmp_path).submit(request_for(image()))


def test_the_path_of_a_report_names_what_is_asked_for() -> None:
    template = "{registry}/{repository}/{hex}.json"
    assert place_of(template, image()) == f"acme.example_5000/shop/api/{image().digest.removeprefix('sha256:')}.json"
    with pytest.raises(ScanUnsupportedError, match="registry"):
        place_of(template, sample_image().model_copy(update={"reference": None}))


@pytest.mark.parametrize(
    "template",
    ["report.json", "{hex}/../x", "/{hex}", "{hex!r}", "{hex:>9}", "{digest}", "{0}{hex}", "{hex", "..{hex}", ""],
)
def test_a_path_that_is_unsafe_or_names_no_image_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_template(template)


@given(st.text(max_size=40))
def test_no_template_leads_out_of_the_place(template: str) -> None:
    try:
        place = place_of(check_template(template), image())
    except ValueError:
        return
    assert not place.startswith("/")
    assert ".." not in place.split("/")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="no-place"),
        pytest.param({"folder": "x", "url": "https://h"}, id="two-places"),
        pytest.param({"folder": "x", "token": "env:T"}, id="a-token-for-a-folder"),
        pytest.param({"url": "https://user:pw@h"}, id="credentials-in-the-address"),
        pytest.param({"folder": "x", "formats": ["spdx"]}, id="unknown-format"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ReportsConfig.model_validate(options)


async def test_a_store_is_asked_with_the_token_and_its_report_read(tmp_path: Path) -> None:
    async with FakeService(Answer(200, json.dumps(TRIVY).encode())) as service:
        context = make_context(
            tmp_path, http=HttpFactory(ca_file=service.ca_file), secrets={"env:T": "canary"}, clock=ManualClock(NOW)
        )
        asking = scanner(tmp_path, context, url=f"{service.url}/scans", token="env:T", path="{repository}/{hex}.json")
        report = await asking.submit(request_for(image()))
        await asking.aclose()
        (request,) = service.requests
    assert isinstance(report, ScanReport)
    assert request.path == f"/scans/shop/api/{image().digest.removeprefix('sha256:')}.json"
    assert request.headers["authorization"] == "Bearer canary"


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        pytest.param(Answer(404), ScanTargetNotFoundError, "there is no report", id="404"),
        pytest.param(Answer(401), ScannerAuthError, "check `token`", id="401"),
        pytest.param(Answer.throttled(7), ScannerThrottledError, "429", id="429"),
        pytest.param(Answer(503), ScannerUnavailableError, "503", id="503"),
        pytest.param(Answer.redirect("https://elsewhere.example"), ScannerOutputError, "302", id="redirect"),
        pytest.param(Answer(200, b"<html>"), ScannerOutputError, "no JSON", id="html"),
        pytest.param(Answer(200, b"x" * 5000), ScannerOutputError, "more than 2,048 bytes", id="huge"),
        pytest.param(Answer.garbage(), ScannerUnavailableError, "cannot be reached", id="no-http"),
        pytest.param(Answer.hanging(), ScannerUnavailableError, "within 0.3 s", id="hangs"),
    ],
)
async def test_what_goes_wrong_with_a_store_is_the_right_error(
    answer: Answer, error: type[ScanguardError], says: str, tmp_path: Path
) -> None:
    async with FakeService(answer) as service:
        context = make_context(tmp_path, http=HttpFactory(ca_file=service.ca_file), clock=ManualClock(NOW))
        asking = scanner(tmp_path, context, url=service.url, max_bytes=2048, request_timeout_s=0.3)
        with pytest.raises(error, match=says):
            await asking.submit(request_for(image()))
        await asking.aclose()


async def test_a_check_says_whether_the_place_is_there(tmp_path: Path) -> None:
    with pytest.raises(ScannerUnavailableError, match="no folder"):
        await scanner(tmp_path).check()
    (tmp_path / "reports").mkdir()
    await scanner(tmp_path).check()
    async with FakeService(Answer(404)) as service:
        context = make_context(tmp_path, http=HttpFactory(ca_file=service.ca_file))
        asking = scanner(tmp_path, context, url=service.url)
        await asking.check()
        await asking.aclose()
