"""The clauses that keep "nothing found" and "did not look" apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from scanguard.errors import ScanError
from scanguard.hooks import PluginContext, Scanner, ScanRequest
from scanguard.model.report import CoverageStatus, ScanReport
from scanguard.testing.contexts import WatchedHttp
from scanguard.testing.contracts.other_side import OtherSideClauses
from scanguard.testing.contracts.services import TALKING_NONSENSE, Service, turned_to


@dataclass(frozen=True)
class Gap:
    """An image that a scanner can look at in part only.

    Attributes:
        config: The configuration.
        context: Another context than the suite's own.
        request: Another request than the suite's own.
    """

    config: Mapping[str, Any]
    context: PluginContext | None = None
    request: ScanRequest | None = None


class CoverageClauses(OtherSideClauses):
    """A scanner never makes an image clean that it did not look at."""

    @pytest.fixture
    def gap(self) -> Gap | None:
        """An image, or an answer, of which the scanner cannot look at a part; None where every scan has a gap."""
        return None

    async def scan(self, scanner: Scanner, request: ScanRequest) -> ScanReport:
        """Scan an image."""
        raise NotImplementedError

    @pytest.mark.asyncio
    async def test_it_says_how_far_it_looked(self, config: Mapping[str, Any], context: PluginContext) -> None:
        report = await self._report(config, context)
        assert report.coverage.items or not report.findings, "it has findings and covers nothing"

    @pytest.mark.asyncio
    async def test_what_it_did_not_look_at_is_a_gap(
        self, gap: Gap | None, config: Mapping[str, Any], context: PluginContext, scan_request: ScanRequest
    ) -> None:
        if gap is None:
            report = await self._report(config, context)
            if report.coverage.is_complete:
                pytest.skip("override the fixture `gap` with an image or answer that cannot be looked at wholly")
            return
        scanner = self.build(gap.config, gap.context or context)
        try:
            report = await self.scan(scanner, gap.request or scan_request)
        except ScanError:
            return  # no report is no clean image either
        finally:
            await scanner.aclose()
        assert not report.coverage.is_complete, "it could not look at everything, and says that everything is covered"

    @pytest.mark.asyncio
    @pytest.mark.parametrize("service", [pytest.param(one, id=one.id) for one in TALKING_NONSENSE])
    async def test_an_answer_that_means_nothing_never_makes_an_image_clean(
        self, service: Service, config: Mapping[str, Any], context: PluginContext
    ) -> None:
        async with turned_to(service, context) as lent:
            answer = await self._answer(config, lent, service.id)
        if not (isinstance(lent.http, WatchedHttp) and lent.http.asked):
            return  # it has no other side, or not over HTTP: `broken` is for those
        if isinstance(answer, ScanReport):
            await self.check_answer_of_the_failed(service, answer, config, context)
        else:
            assert isinstance(answer, ScanError), f"{service.id}: {type(answer).__name__}, not a ScanError"

    async def check_answer_of_the_failed(
        self, service: Service, answer: object, config: Mapping[str, Any], context: PluginContext
    ) -> None:
        """A scanner may report what it saw without the service, when it covers less than with it."""
        assert service.retry_after_s is None, f"{service.id}: told to wait, it gives a {type(answer).__name__}"
        assert isinstance(answer, ScanReport), f"{service.id}: a scan gave a {type(answer).__name__}"
        whole, seen = _covered(await self._report(config, context)), _covered(answer)
        assert seen < whole, (
            f"{service.id}: it reports {len(answer.findings)} findings and covers {sorted(seen) or 'nothing'}, no less "
            "than when the service works; raise, or say what was not looked at"
        )

    async def _report(self, config: Mapping[str, Any], context: PluginContext) -> ScanReport:
        scanner = self.build(config, context)
        try:
            report = await self.use(scanner)
        finally:
            await scanner.aclose()
        assert isinstance(report, ScanReport), f"a scan gave a {type(report).__name__}"
        return report


def _covered(report: ScanReport) -> frozenset[str]:
    return frozenset(item.subject for item in report.coverage.items if item.status is CoverageStatus.COVERED)
