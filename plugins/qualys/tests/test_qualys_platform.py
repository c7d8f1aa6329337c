"""Mode platform, against an account that keeps the documented rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from qualys_account import ScannerOf, Simulate, image, kept, request_for, scan

from scanguard.errors import (
    ScanguardError,
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanUnsupportedError,
)
from scanguard.hooks import Ticket
from scanguard.model.report import ScanReport
from scanguard.testing.samples import NOW


def counted(simulator: Any) -> list[str]:
    return [f"{one.method} {one.path.rpartition('/')[2][:10]}" for one in simulator.recorded.requests]


async def test_an_image_the_account_knows_is_reported_with_all_its_findings(
    simulate: Simulate, scanner_of: ScannerOf
) -> None:
    simulator = await simulate(findings=40)
    report = await scan(scanner_of(simulator), image())
    content = simulator.simulation.images.content(str(image().config_digest))
    assert content is not None
    expected = {
        (cve, one["qid"], software["name"], software["version"])
        for one in content.vulnerabilities
        for software in one["software"]
        for cve in one["cveids"] or [f"QID-{one['qid']}"]
    }
    found = {(f.id, f.vendor["qid"], f.package.name, f.package.version) for f in report.findings}
    assert found == expected
    assert report.digest == image().digest
    assert report.confirmed
    assert len(report.compliance) == 3
    assert simulator.recorded.logins == 1


async def test_each_call_sends_the_requests_that_its_ticket_said(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate(findings=25)
    scanner = scanner_of(simulator, page_size=10)
    ticket = await scanner.submit(request_for(image()))
    assert isinstance(ticket, Ticket)
    assert len(simulator.recorded.requests) == 1, "the look whether it is there"
    assert ticket.requests == 2, "a page and the compliance"

    again = await scanner.poll(kept(ticket))
    assert isinstance(again, Ticket)
    assert again.requests == 4, "the first page says that there are three"
    assert len(simulator.recorded.requests) == 2, "no more than was booked"

    report = await scanner.poll(kept(again))
    assert isinstance(report, ScanReport)
    assert len(simulator.recorded.requests) == 6
    assert len({finding.vendor["qid"] for finding in report.findings}) == 25


async def test_not_found_before_ingestion_is_waiting_and_not_an_error(
    simulate: Simulate, scanner_of: ScannerOf
) -> None:
    simulator = await simulate(latency_s=3600)
    scanner = scanner_of(simulator, poll_interval_s=10)
    ticket = await scanner.submit(request_for(image()))
    again = await scanner.poll(kept(ticket))
    for waiting in (ticket, again):
        assert isinstance(waiting, Ticket)
        assert waiting.not_before == NOW + timedelta(seconds=10)
        assert waiting.requests is None


async def test_a_registry_job_is_started_once_and_found_again_after_a_crash(
    simulate: Simulate, scanner_of: ScannerOf
) -> None:
    simulator = await simulate(registries=("77",))
    scanner = scanner_of(simulator, registry_id="77")
    request = request_for(image())
    assert await scanner.find(request) is None
    assert isinstance(await scanner.submit(request), Ticket)
    assert isinstance(await scanner.find(request), Ticket)
    assert await scanner.find(request_for(image(), key="another")) is None
    assert simulator.recorded.submissions == {"shop/api:1.4": 1}
    (job,) = simulator.simulation.jobs["77"]
    assert job["name"] == "scanguard-0123456789abcdef"


async def test_a_token_that_expires_is_renewed_once(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate()
    scanner = scanner_of(simulator)
    await scan(scanner, image(1))
    simulator.simulation.expire_tokens()
    await scan(scanner, image(2))
    assert simulator.recorded.logins == 2


async def test_a_service_that_refuses_every_token_is_not_asked_for_ever(
    simulate: Simulate, scanner_of: ScannerOf
) -> None:
    simulator = await simulate(faults=({"kind": "status", "status": 401, "path": "/csapi/*"},))
    with pytest.raises(ScannerAuthError):
        await scanner_of(simulator).submit(request_for(image()))
    assert simulator.recorded.logins == 2
    assert len(simulator.recorded.requests) == 2


async def test_wrong_credentials_are_said_and_not_shown(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate(password="another")
    with pytest.raises(ScannerAuthError) as caught:
        await scanner_of(simulator).submit(request_for(image()))
    assert "sim-password" not in str(caught.value)
    assert "sim-user" not in str(caught.value)


@pytest.mark.parametrize(
    ("limit", "status"),
    [
        pytest.param({"rate": "1/m"}, 429, id="gateway-429"),
        pytest.param({"rate": "1/m", "style": "classic"}, 409, id="classic-409"),
    ],
)
async def test_a_used_up_limit_is_told_to_the_engine_with_the_wait(
    limit: dict[str, Any], status: int, simulate: Simulate, scanner_of: ScannerOf
) -> None:
    simulator = await simulate(limits=(limit,))
    scanner = scanner_of(simulator)
    await scanner.submit(request_for(image(1)))
    with pytest.raises(ScannerThrottledError) as caught:
        await scanner.submit(request_for(image(2)))
    assert caught.value.retry_after_s is not None
    assert 55 < caught.value.retry_after_s <= 61
    assert simulator.recorded.requests[-1].status == status


async def test_a_conflict_without_limit_headers_is_no_limit(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate(faults=({"kind": "status", "status": 409, "path": "/csapi/*"},))
    with pytest.raises(ScannerOutputError):
        await scanner_of(simulator).submit(request_for(image()))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param({"kind": "status", "status": 500}, ScannerUnavailableError, id="500"),
        pytest.param({"kind": "status", "status": 403}, ScannerAuthError, id="403"),
        pytest.param({"kind": "html"}, ScannerUnavailableError, id="html"),
        pytest.param({"kind": "malformed"}, ScannerUnavailableError, id="malformed"),
        pytest.param({"kind": "truncated"}, ScannerUnavailableError, id="truncated"),
        pytest.param({"kind": "reset"}, ScannerUnavailableError, id="reset"),
        pytest.param({"kind": "hang"}, ScannerUnavailableError, id="hang"),
        pytest.param({"kind": "error_body"}, ScannerUnavailableError, id="error-in-a-200"),
    ],
)
async def test_each_broken_answer_is_the_right_error_at_every_step(
    fault: dict[str, Any], error: type[ScanguardError], simulate: Simulate, scanner_of: ScannerOf
) -> None:
    for path in ("*/images/*[0-9a-f]", "*/vuln", "*/compliance"):
        simulator = await simulate(faults=({**fault, "path": path},))
        with pytest.raises(error) as caught:
            await scan(scanner_of(simulator, request_timeout_s=0.3), image())
        assert "Please log in" not in str(caught.value)


async def test_an_answer_that_is_too_large_is_not_read(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate(findings=50)
    with pytest.raises(ScannerOutputError, match="larger than 10,000 bytes"):
        await scan(scanner_of(simulator, max_answer_bytes=10_000), image())


async def test_a_scan_that_failed_there_is_an_error_and_never_an_empty_report(
    simulate: Simulate, scanner_of: ScannerOf
) -> None:
    config = str(image().config_digest)
    simulator = await simulate(images=({"config": config, "outcome": "failed"},))
    with pytest.raises(ScanUnsupportedError, match="OS_NOT_SUPPORTED"):
        await scan(scanner_of(simulator), image())


async def test_an_image_without_an_operating_system_is_a_gap(simulate: Simulate, scanner_of: ScannerOf) -> None:
    config = str(image().config_digest)
    simulator = await simulate(images=({"config": config, "operating_system": "", "findings": 0},))
    report = await scan(scanner_of(simulator), image())
    assert report.findings == ()
    assert not report.coverage.is_complete


async def test_a_record_of_another_image_is_refused(simulate: Simulate, scanner_of: ScannerOf) -> None:
    asked, other = image(1), image(2)
    simulator = await simulate(images=({"digest": str(asked.config_digest), "config": str(other.config_digest)},))
    with pytest.raises(ScannerOutputError, match="not about sha256:0"):
        await scan(scanner_of(simulator), asked)


async def test_an_image_whose_config_is_not_known_is_searched_by_its_repository_digest(
    simulate: Simulate, scanner_of: ScannerOf
) -> None:
    known = image(1)
    simulator = await simulate(images=({"digest": known.digest, "config": str(known.config_digest)},), any_image=False)
    report = await scan(scanner_of(simulator), image(1, config=False))
    assert report.confirmed
    assert report.vendor["image_sha"] == str(known.config_digest).removeprefix("sha256:")
    waiting = await scanner_of(simulator).submit(request_for(image(2, config=False)))
    assert isinstance(waiting, Ticket)


async def test_many_images_are_looked_for_with_one_request(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate(latency_s=50, speed=1000)
    scanner: Any = scanner_of(simulator, poll_batch=10)
    tickets = [kept(await scanner.submit(request_for(image(number)))) for number in range(3)]
    before = len(simulator.recorded.requests)
    answers = await scanner.poll_many(tickets)
    while any(answer.requests is None for answer in answers):
        answers = await scanner.poll_many(tickets)
        before += 1
    assert len(simulator.recorded.requests) == before + 1
    reports = [await scanner.poll(kept(answer)) for answer in answers]
    assert [report.digest for report in reports] == [image(number).digest for number in range(3)]


async def test_a_forced_scan_takes_no_record_older_than_the_request(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate(registries=("1",))  # its records say February 2025
    scanner = scanner_of(simulator, registry_id="1", force_scan=True)
    ticket = kept(await scanner.submit(request_for(image())))
    for _ in range(3):
        ticket = kept(await scanner.poll(ticket))
        assert ticket.requests is None
    assert simulator.simulation.jobs["1"][0]["filters"]


async def test_a_service_that_does_not_page_gives_everything_once(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate(findings=10, pages=False)
    report = await scan(scanner_of(simulator, page_size=5), image())
    assert len({finding.vendor["qid"] for finding in report.findings}) == 10
    simulator = await simulate(findings=5, pages=False)
    report = await scan(scanner_of(simulator, page_size=5), image())
    assert len({finding.vendor["qid"] for finding in report.findings}) == 5


async def test_a_check_logs_in_and_reads_without_scanning(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate()
    await scanner_of(simulator).check()  # type: ignore[attr-defined]  # optional in the protocol
    assert counted(simulator) == ["GET images"]
    assert not simulator.recorded.submissions
