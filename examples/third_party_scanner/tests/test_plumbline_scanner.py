"""How a scan goes: submitted once, asked after as often as the service allows, found again after a crash."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from scanguard import (
    ConfigError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanReport,
    ScanRequest,
    Severity,
    Ticket,
)
from scanguard.testing.contexts import make_context
from scanguard.testing.contracts import CANARY, CANARY_REFERENCE
from scanguard.testing.samples import NOW, sample_image
from scanguard.testing.server import LoopbackServer

from plumbline_service import PlumblineService, report_on
from scanguard_plumbline import plugin
from scanguard_plumbline.config import PlumblineConfig
from scanguard_plumbline.scanner import PlumblineScanner

DIGEST = sample_image().digest


@pytest.fixture
def request_() -> ScanRequest:
    return ScanRequest(key="task-1", image=sample_image(), deadline=NOW + timedelta(hours=1))


def scanner_for(folder: Path, url: str, *, offline: bool = False, **options: object) -> PlumblineScanner:
    config = PlumblineConfig.model_validate({"url": url, "token": CANARY_REFERENCE, **options})
    return PlumblineScanner(config, make_context(folder, secrets={CANARY_REFERENCE: CANARY}, offline=offline))


def serving(**options: Any) -> PlumblineService:  # the fields of a service
    return PlumblineService({DIGEST: report_on(DIGEST)}, **options)


async def test_a_scan_is_submitted_once_and_asked_after_until_it_is_done(tmp_path: Path, request_: ScanRequest) -> None:
    service = serving(states=("running", "done"), wait_s=0)
    async with LoopbackServer(service.answer) as server:
        scanner = scanner_for(tmp_path, server.url, profile="quick")
        first = await scanner.submit(request_)
        assert isinstance(first, Ticket)
        second = await scanner.poll(first)
        assert isinstance(second, Ticket)
        report = await scanner.poll(second)

    assert isinstance(report, ScanReport)
    (finding,) = report.findings
    assert (finding.id, finding.severity, finding.fixed_versions) == ("PLUMB-2024-7", Severity.CRITICAL, ("3.1.4",))
    assert (report.scanner.version, report.coverage.is_complete) == ("3.2.0", True)
    (wanted,) = service.submitted
    assert (wanted["digest"], wanted["platform"], wanted["profile"]) == (DIGEST, "linux/amd64", "quick")
    assert not service.rude


@pytest.mark.parametrize(
    ("asked_s", "waits_s"),
    [pytest.param(0, 10, id="the option is the least"), pytest.param(45, 45, id="the service may ask for more")],
)
async def test_a_ticket_says_when_to_ask_again(
    tmp_path: Path, request_: ScanRequest, asked_s: int, waits_s: int
) -> None:
    async with LoopbackServer(serving(wait_s=asked_s).answer) as server:
        ticket = await scanner_for(tmp_path, server.url).submit(request_)

    assert isinstance(ticket, Ticket)
    assert ticket.not_before == NOW + timedelta(seconds=waits_s)
    assert CANARY not in str(ticket.value)


async def test_told_to_slow_down_the_scan_goes_on_later_with_the_same_ticket(
    tmp_path: Path, request_: ScanRequest
) -> None:
    service = serving(states=("429", "done"), wait_s=30)
    async with LoopbackServer(service.answer) as server:
        scanner = scanner_for(tmp_path, server.url)
        ticket = await scanner.submit(request_)
        assert isinstance(ticket, Ticket)
        with pytest.raises(ScannerThrottledError) as caught:
            await scanner.poll(ticket)
        again = await scanner.poll(ticket)

    assert caught.value.retry_after_s == 30
    assert isinstance(again, ScanReport)
    assert len(service.submitted) == 1


async def test_after_a_crash_the_scan_is_found_and_not_submitted_again(tmp_path: Path, request_: ScanRequest) -> None:
    service = serving(states=("done",))
    async with LoopbackServer(service.answer) as server:
        await scanner_for(tmp_path, server.url).submit(request_)
        survivor = scanner_for(tmp_path, server.url)
        ticket = await survivor.find(request_)
        assert ticket is not None
        report = await survivor.poll(ticket)

    assert isinstance(report, ScanReport)
    assert len(service.submitted) == 1


async def test_nothing_is_found_where_nothing_was_submitted_or_it_failed(tmp_path: Path, request_: ScanRequest) -> None:
    async with LoopbackServer(serving(states=("failed",)).answer) as server:
        scanner = scanner_for(tmp_path, server.url)
        before = await scanner.find(request_)
        ticket = await scanner.submit(request_)
        assert isinstance(ticket, Ticket)
        with pytest.raises(ScannerUnavailableError, match="the scan failed"):
            await scanner.poll(ticket)
        after = await scanner.find(request_)

    assert (before, after) == (None, None)


async def test_a_scan_that_the_service_forgot_says_nothing_of_the_image(tmp_path: Path, request_: ScanRequest) -> None:
    async with LoopbackServer(serving().answer) as old, LoopbackServer(serving().answer) as new:
        ticket = await scanner_for(tmp_path, old.url).submit(request_)
        assert isinstance(ticket, Ticket)
        with pytest.raises(ScannerUnavailableError, match="no longer knows the scan scan-1"):
            await scanner_for(tmp_path, new.url).poll(ticket)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({}, id="empty"),
        pytest.param({"scan": "../admin", "digest": DIGEST, "platform": {}, "started_at": NOW.isoformat()}, id="path"),
    ],
)
async def test_a_ticket_of_somebody_else_is_refused(tmp_path: Path, value: Mapping[str, Any]) -> None:
    with pytest.raises(ScannerOutputError, match="the ticket of this scan cannot be read"):
        await scanner_for(tmp_path, "http://plumbline.invalid").poll(Ticket(value, NOW))


def test_where_no_network_may_be_used_it_says_so_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="asks a service, and no network may be used"):
        scanner_for(tmp_path, "https://plumbline.example", offline=True)


def test_scans_differ_by_what_changes_their_result_and_by_nothing_else() -> None:
    (spec,) = plugin.scanguard_scanners()
    assert spec.fingerprint is not None
    base = {"url": "https://plumbline.example", "token": "env:A"}
    patient, other, quick = (
        spec.fingerprint(PlumblineConfig.model_validate({**base, **options}))
        for options in ({"poll_s": 60}, {"token": "env:B"}, {"profile": "quick"})
    )

    assert patient == other != quick
