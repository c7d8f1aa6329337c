"""Mode ondemand: the contract of submit, status and results."""

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
    ScanTargetNotFoundError,
    ScanUnsupportedError,
)
from scanguard.hooks import Ticket
from scanguard.testing.samples import NOW, sample_image


def ondemand(scanner_of: ScannerOf, simulator: Any, **options: Any) -> Any:
    return scanner_of(simulator, mode="ondemand", **options)


async def test_a_scan_is_one_submit_some_questions_and_one_fetch(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate(findings=12)
    report = await scan(ondemand(scanner_of, simulator), image())
    assert [(one.method, one.path.rpartition("/")[2]) for one in simulator.recorded.requests] == [
        ("POST", "scan"),
        ("GET", "status"),
        ("GET", "results"),
    ]
    assert report.confirmed
    assert {finding.vendor["qid"] for finding in report.findings} == set(range(370_000, 370_012))
    assert len(report.compliance) == 3
    assert simulator.recorded.submissions == {image().digest: 1}


async def test_what_was_asked_names_the_image_and_extra_fields_only_when_they_are_set(
    simulate: Simulate, scanner_of: ScannerOf
) -> None:
    simulator = await simulate()
    await ondemand(scanner_of, simulator).submit(request_for(image()))
    more = {"appliance_id": "env:Q_USER", "scan_options": {"optionProfile": "deep"}, "image_id": "config"}
    await ondemand(scanner_of, simulator, **more, idempotency_key=False).submit(request_for(image()))
    plain, full = [scan.asked for scan in simulator.simulation.scans.values()]
    assert plain == {
        "imageId": image().digest,
        "registry": "acme.example",
        "repository": "shop/api",
        "tag": "1.4",
        "idempotency-key": "0123456789abcdef",
    }
    assert full == {
        **plain,
        "imageId": image().config_digest,
        "optionProfile": "deep",
        "scannerApplianceId": "sim-user",
        "idempotency-key": "",
    }


async def test_a_scan_under_way_is_asked_after_later(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate(latency_s=1000)
    scanner = ondemand(scanner_of, simulator, poll_interval_s=10)
    ticket = await scanner.submit(request_for(image()))
    again = await scanner.poll(kept(ticket))
    assert isinstance(again, Ticket)
    assert again.not_before == NOW + timedelta(seconds=10)
    assert await scanner.find(request_for(image())) is None, "there is no way to ask"


async def test_a_result_that_names_no_digest_is_marked_unconfirmed(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate(names_digest=False)
    assert not (await scan(ondemand(scanner_of, simulator), image())).confirmed


async def test_a_result_of_another_image_is_refused(simulate: Simulate, scanner_of: ScannerOf) -> None:
    scanner = ondemand(scanner_of, await simulate())
    ticket = kept(await scanner.poll(kept(await scanner.submit(request_for(image(1))))))
    other = Ticket({**ticket.value, "image": image(3).model_dump(mode="json")}, ticket.not_before, 1)
    with pytest.raises(ScannerOutputError, match="not about sha256:0"):
        await scanner.poll(other)


@pytest.mark.parametrize(
    ("scenario", "error", "says"),
    [
        pytest.param({"password": "x"}, ScannerAuthError, "refuses the credentials", id="credentials"),
        pytest.param({"any_image": False}, ScanTargetNotFoundError, "does not find", id="unknown-image"),
        pytest.param({"limits": ({"rate": "1/h"},)}, ScannerThrottledError, "429", id="limit"),
        pytest.param({"faults": ({"kind": "html"},)}, ScannerUnavailableError, "HTML, where JSON was due", id="html"),
        pytest.param({"faults": ({"kind": "hang"},)}, ScannerUnavailableError, "within 0.3 s", id="hang"),
        pytest.param({"faults": ({"kind": "reset"},)}, ScannerUnavailableError, "cannot be reached", id="reset"),
        pytest.param({"faults": ({"kind": "error_body"},)}, ScannerUnavailableError, "500", id="error-in-a-200"),
        pytest.param(
            {"faults": ({"kind": "truncated", "path": "*/results"},)},
            ScannerUnavailableError,
            "reached",
            id="truncated",
        ),
    ],
)
async def test_what_goes_wrong_is_the_right_error(
    scenario: dict[str, Any], error: type[ScanguardError], says: str, simulate: Simulate, scanner_of: ScannerOf
) -> None:
    simulator = await simulate(**scenario)
    with pytest.raises(error, match=says) as caught:
        await scan(ondemand(scanner_of, simulator, request_timeout_s=0.3), image())
    assert "sim-password" not in str(caught.value)


async def test_a_scan_that_failed_is_an_error_and_never_clean(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate(images=({"digest": image().digest, "outcome": "failed"},))
    with pytest.raises(ScannerOutputError, match="FAILED"):
        await scan(ondemand(scanner_of, simulator), image())


async def test_an_image_of_this_machine_is_not_sent_anywhere(simulate: Simulate, scanner_of: ScannerOf) -> None:
    simulator = await simulate()
    local = sample_image().model_copy(update={"source": "oci:folder", "reference": None})
    with pytest.raises(ScanUnsupportedError):
        await ondemand(scanner_of, simulator).submit(request_for(local))
    assert not simulator.recorded.requests
