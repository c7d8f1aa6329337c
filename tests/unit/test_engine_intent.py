"""After a crash a scan is looked for before it is submitted again, also when looking fails at first."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from scanguard.errors import ScanguardError, ScannerThrottledError, ScannerUnavailableError, ScanTimeoutError
from scanguard.hooks import ScanRequest, Ticket
from scanguard.model.report import ScanReport
from scanguard.model.verdict import Outcome
from scanguard.testing.memory import Crash
from scanguard.testing.rig import Rig, RigScanner


@dataclass
class Service(RigScanner):
    """Takes the first submit on, and then its caller dies, or hears ``lost``; ``find_faults`` fail looking for it."""

    lost: BaseException | None = None
    find_faults: list[ScanguardError] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    async def submit(self, request: ScanRequest) -> ScanReport | Ticket:
        self.heard.append("submit")
        answer = await super().submit(request)
        if self.lost is not None:
            lost, self.lost = self.lost, None
            raise lost
        return answer

    async def find(self, request: ScanRequest) -> Ticket | None:
        self.heard.append("find")
        if self.find_faults:
            raise self.find_faults.pop(0)
        return await super().find(request)


async def judged(service: Service) -> Outcome:
    rig = service.rig
    rig.scanners["one"] = service
    rig.deploy("/a", "app:1")
    name = await rig.announce("/a")
    await rig.run()
    return rig.verdict(name).outcome


async def test_a_scan_that_a_dead_worker_submitted_is_found_and_not_submitted_again() -> None:
    service = Service(Rig(), "one", findings=("CVE-1",), wait_s=30, lost=Crash())

    assert await judged(service) is Outcome.FAIL
    assert service.rig.crashes == 1
    assert service.heard == ["submit", "find"]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(ScannerUnavailableError("down"), id="unavailable"),
        pytest.param(ScannerThrottledError("slow down", retry_after_s=20), id="throttled"),
    ],
)
async def test_a_scan_is_looked_for_until_the_scanner_says_whether_it_is_there(fault: ScanguardError) -> None:
    service = Service(Rig(), "one", findings=("CVE-1",), wait_s=30, lost=Crash(), find_faults=[fault])

    assert await judged(service) is Outcome.FAIL
    assert service.heard == ["submit", "find", "find"]


async def test_a_submit_whose_answer_is_lost_is_looked_for_before_it_is_made_again() -> None:
    lost = ScanTimeoutError("no answer in time")
    service = Service(Rig(), "one", findings=("CVE-1",), wait_s=30, lost=lost)

    assert await judged(service) is Outcome.FAIL
    assert service.heard == ["submit", "find"]
