"""The contract of scanners."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

import pytest

from scanguard.errors import ScanError, ScanguardError, ScanTimeoutError
from scanguard.hooks import PluginContext, Scanner, ScannerSpec, ScanRequest, Ticket
from scanguard.model.report import ScannerInfo, ScanReport
from scanguard.testing.contracts.base import PluginContract
from scanguard.testing.contracts.coverage import CoverageClauses
from scanguard.testing.memory import ManualClock
from scanguard.testing.samples import NOW, sample_image

_MAX_POLLS: Final = 1_000


class ScannerContract(CoverageClauses, PluginContract):
    """What every scanner keeps.

    Override ``scan_request`` when the scanner must find a real image, and ``gap`` with what it can look at
    in part only.
    """

    hook = "scanguard_scanners"
    spec_type: ClassVar[type] = ScannerSpec
    timeout_error: ClassVar[type[ScanguardError]] = ScanTimeoutError
    error_family: ClassVar[type[ScanguardError]] = ScanError

    @pytest.fixture
    def scan_request(self) -> ScanRequest:
        """The image to scan."""
        return ScanRequest(key="0123456789abcdef", image=sample_image(), deadline=NOW + timedelta(hours=1))

    @pytest.fixture(autouse=True)
    def _working_with(self, scan_request: ScanRequest, context: PluginContext) -> None:
        self._request = scan_request
        self._clock = context.clock

    async def use(self, plugin: Any) -> ScanReport:  # noqa: ANN401  # a scanner
        """Scan from submit to report, as the engine does, but without waiting."""
        return await self.scan(plugin, self._request)

    async def scan(self, scanner: Scanner, request: ScanRequest) -> ScanReport:
        """Scan an image."""
        answer = await scanner.submit(request)
        for _ in range(_MAX_POLLS):
            if not isinstance(answer, Ticket):
                assert isinstance(answer, ScanReport), f"a scan gave a {type(answer).__name__}"
                return answer
            answer = await scanner.poll(self._kept(answer))
        raise AssertionError(f"no report after {_MAX_POLLS:,} polls")

    def _kept(self, ticket: Ticket) -> Ticket:
        """The ticket as it comes back from the store, at the time it is due."""
        assert ticket.not_before.tzinfo is not None, "a ticket's not_before has no time zone"
        if isinstance(self._clock, ManualClock):
            self._clock.moment = max(self._clock.moment, ticket.not_before)
        return Ticket(json.loads(json.dumps(ticket.value)), ticket.not_before, ticket.requests)

    @pytest.mark.asyncio
    async def test_its_report_is_about_the_image_asked_for(
        self, config: Mapping[str, Any], context: PluginContext, scan_request: ScanRequest
    ) -> None:
        scanner = self.build(config, context)
        report = await self.use(scanner)
        asked = scan_request.image
        assert report.digest == asked.digest, f"asked for {asked.digest}, it reports on {report.digest}"
        assert report.platform == asked.platform, f"asked for {asked.platform}, it reports on {report.platform}"
        assert report.started_at <= report.finished_at, "the scan finished before it started"
        await scanner.aclose()

    @pytest.mark.asyncio
    async def test_its_report_survives_storage(self, config: Mapping[str, Any], context: PluginContext) -> None:
        scanner = self.build(config, context)
        report = await self.use(scanner)
        assert ScanReport.model_validate_json(report.model_dump_json()) == report
        await scanner.aclose()

    @pytest.mark.asyncio
    async def test_the_same_image_scanned_again_gives_the_same_findings(
        self, config: Mapping[str, Any], context: PluginContext
    ) -> None:
        first, second = self.build(config, context), self.build(config, context)
        one, other = await self.use(first), await self.use(second)
        assert (one.findings, one.coverage) == (other.findings, other.coverage)
        await first.aclose()
        await second.aclose()

    @pytest.mark.asyncio
    async def test_it_names_its_tool_and_answers_whether_a_scan_is_running(
        self, config: Mapping[str, Any], context: PluginContext, scan_request: ScanRequest
    ) -> None:
        scanner = self.build(config, context)
        info = await scanner.info()
        assert isinstance(info, ScannerInfo), f"info() gives a {type(info).__name__}"
        assert info.tool, "info() names no tool"
        found = await scanner.find(scan_request)
        assert found is None or isinstance(found, Ticket), f"find() gives a {type(found).__name__}"
        await scanner.aclose()

    def test_its_fingerprint_is_plain_data_and_always_the_same(self, config: Mapping[str, Any]) -> None:
        spec = self.spec()
        if spec.fingerprint is None:
            return
        one, other = (spec.fingerprint(spec.config.model_validate(dict(config))) for _ in range(2))
        assert json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
