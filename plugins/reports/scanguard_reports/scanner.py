"""The scanner: find the report, read it, see that it is about this image."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib.metadata import version

from pydantic import JsonValue

from scanguard.errors import ScannerOutputError, ScanTargetNotFoundError
from scanguard.hooks import PluginContext, ScanRequest, Ticket
from scanguard.model.image import ResolvedImage
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport
from scanguard_reports.config import ReportsConfig
from scanguard_reports.formats.detect import read_report
from scanguard_reports.parsed import Parsed
from scanguard_reports.place import place_of
from scanguard_reports.store import store_of


class ReportsScanner:
    """Takes a report that is there, or waits for it."""

    def __init__(self, config: ReportsConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._store = store_of(config, context)

    async def submit(self, request: ScanRequest) -> ScanReport | Ticket:
        """Look for the report."""
        return await self._look(request.image, self._context.clock.now())

    async def poll(self, ticket: Ticket) -> ScanReport | Ticket:
        """Look again."""
        asked_at = datetime.fromisoformat(str(ticket.value["asked_at"]))
        return await self._look(ResolvedImage.model_validate(ticket.value["image"]), asked_at)

    async def find(self, request: ScanRequest) -> None:
        """Nothing is ever started."""
        return

    async def info(self) -> ScannerInfo:
        """This plugin; each report names the tool that made it."""
        return ScannerInfo(tool="scanguard-reports", version=version("scanguard-reports"))

    async def check(self) -> None:
        """Whether the place of reports is there."""
        await self._store.check()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._store.aclose()

    async def _look(self, image: ResolvedImage, asked_at: datetime) -> ScanReport | Ticket:
        path = place_of(self._config.path, image)
        data = await self._store.read(path)
        if data is not None:
            return await asyncio.to_thread(self._report, image, data, path)
        now = self._context.clock.now()
        if now >= asked_at + timedelta(seconds=self._config.wait_s):
            waited = f", {self._config.wait_s:g} s after it was asked for" if self._config.wait_s else ""
            raise ScanTargetNotFoundError(
                f"there is no report {self._store.where(path)}{waited}", plugin="reports", target=image.digest
            )
        value: Mapping[str, JsonValue] = {"image": image.model_dump(mode="json"), "asked_at": asked_at.isoformat()}
        return Ticket(value, now + timedelta(seconds=self._config.every_s))

    def _report(self, image: ResolvedImage, data: bytes, path: str) -> ScanReport:
        where = self._store.where(path)
        parsed = read_report(data, where, self._config.formats)
        now = self._context.clock.now()
        made_at = min(parsed.created_at or now, now)
        return ScanReport(
            digest=image.digest,
            platform=image.platform,
            scanner=ScannerInfo(tool=parsed.tool, version=parsed.version, database_updated_at=parsed.database_at),
            started_at=made_at,
            finished_at=made_at,
            findings=parsed.findings,
            compliance=parsed.checks,
            secrets=parsed.secrets,
            coverage=Coverage(items=(*parsed.coverage, *self._age(parsed, now))),
            confirmed=_is_about(image, parsed.names, where),
            vendor={**parsed.vendor, "report": path},
        )

    def _age(self, parsed: Parsed, now: datetime) -> tuple[CoverageItem, ...]:
        limit = self._config.max_age_days
        if limit is None or (parsed.created_at and parsed.created_at >= now - timedelta(days=limit)):
            return ()
        said = f"made at {parsed.created_at:%Y-%m-%d}" if parsed.created_at else "it does not say when it was made"
        detail = f"{said}; older than {limit:g} days is too old here"
        return (CoverageItem(subject="age of the report", status=CoverageStatus.PARTIAL, detail=detail),)


def _is_about(image: ResolvedImage, names: frozenset[str], where: str) -> bool:
    """True when the report names this image, False when it names none; an error when it names others only."""
    own = {digest.lower() for digest in (image.digest, image.config_digest, image.index_digest) if digest}
    told = {name.lower() for name in names}
    if told and not told & own:
        raise ScannerOutputError(
            f"{where} is about {min(told)[:19]}…, not about {image.digest}", plugin="reports", target=image.digest
        )
    return bool(told)
