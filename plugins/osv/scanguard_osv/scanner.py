"""The scanner: read the inventory, look it up, map, say how far it looked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import cast

from scanguard.errors import ConfigError, PluginContractError
from scanguard.hooks import PluginContext, ScanRequest, Ticket
from scanguard.model.report import Coverage, ScannerInfo, ScanReport
from scanguard.oci.blobs import ImageReader
from scanguard_osv.cache import AdvisoryCache
from scanguard_osv.config import Mode, OsvConfig, database_path
from scanguard_osv.coverage import describe_coverage, ecosystem_of_image
from scanguard_osv.database import open_database
from scanguard_osv.ecosystem import KIND_OF_ID, PYPI
from scanguard_osv.inventory import Inventory, read_inventory
from scanguard_osv.mapping import map_findings
from scanguard_osv.offline import ImportedSource
from scanguard_osv.online import OnlineSource
from scanguard_osv.packages import PackageKind
from scanguard_osv.source import AdvisorySource, Answer, Groups, Held


class OsvScanner:
    """Scans an image by its package databases; answers at once, from ``submit``."""

    def __init__(self, config: OsvConfig, context: PluginContext) -> None:
        if config.mode is Mode.ONLINE and context.offline:
            raise ConfigError(
                f"instance {context.instance} has mode: online, which needs the network; use auto or offline",
                target=context.instance,
            )
        self._config = config
        self._context = context
        self._imported = ImportedSource(database_path(config, context))
        self._service = OnlineSource(context.http, config, AdvisoryCache(context.data_dir / "osv-cache.db"))

    async def submit(self, request: ScanRequest) -> ScanReport:
        """Scan now. Raises RegistryError for the image, ScanError for the advisories, ConfigError for neither there."""
        started_at = self._context.clock.now()
        inventory = await self._read(request)
        groups = self._groups(inventory)
        source = await self._source_for(groups)
        answer = await source.look_up(groups)
        findings = await asyncio.to_thread(map_findings, answer.matches, inventory.system)
        return ScanReport(
            digest=request.image.digest,
            platform=request.image.platform,
            scanner=_info(source, answer.held),
            started_at=started_at,
            finished_at=self._context.clock.now(),
            findings=findings,
            coverage=self._coverage(inventory, source, answer),
        )

    async def poll(self, ticket: Ticket) -> ScanReport:
        """Refuse: this scanner gives no tickets."""
        raise PluginContractError("the osv scanner answers at once and gives no tickets", plugin="osv")

    async def find(self, request: ScanRequest) -> Ticket | None:
        """Nothing is ever left running, so nothing is found."""
        return None

    async def info(self) -> ScannerInfo:
        """The tool and, when there is an imported database to use, the date of its oldest ecosystem."""
        if self._config.mode is Mode.ONLINE:
            return _info(self._service, {})
        try:
            held = await asyncio.to_thread(self._everything_held)
        except ConfigError:
            is_online = self._config.mode is Mode.AUTO and not self._context.offline
            return _info(self._service if is_online else self._imported, {})
        return _info(self._imported, held)

    async def check(self) -> None:
        """Whether advisories can be had; ConfigError without an imported database to use, else ScanError."""
        if self._config.mode is not Mode.ONLINE:
            try:
                await asyncio.to_thread(self._everything_held)
            except ConfigError:
                if self._config.mode is Mode.OFFLINE or self._context.offline:
                    raise
            else:
                return
        await self._service.check()

    async def aclose(self) -> None:
        """Nothing stays open between scans."""

    async def _read(self, request: ScanRequest) -> Inventory:
        async with self._context.images.open(request.image) as opened:
            return await read_inventory(_as_reader(opened))

    def _groups(self, inventory: Inventory) -> Groups:
        """The packages to look up, by the ecosystem to look them up in."""
        groups = {}
        ecosystem = ecosystem_of_image(inventory)
        if ecosystem and inventory.system and "os" in self._config.ecosystems:
            groups[ecosystem] = inventory.of(KIND_OF_ID[inventory.system.id])
        if "python" in self._config.ecosystems:
            groups[PYPI] = inventory.of(PackageKind.PYPI)
        return {name: packages for name, packages in groups.items() if packages}

    async def _source_for(self, groups: Groups) -> AdvisorySource:
        if self._config.mode is Mode.ONLINE:
            return self._service
        if self._config.mode is Mode.OFFLINE or self._context.offline:
            return self._imported
        try:
            held = await self._imported.held(groups)
        except ConfigError:
            return self._service
        oldest = self._context.clock.now() - timedelta(days=self._config.max_database_age_days)
        return self._imported if all(_is_fresh(one, oldest) for one in held.values()) else self._service

    def _coverage(self, inventory: Inventory, source: AdvisorySource, answer: Answer) -> Coverage:
        doubtful = {(one.ecosystem, one.package) for one in answer.undecided}
        return describe_coverage(
            inventory,
            answer.held,
            source=source.name,
            now=self._context.clock.now(),
            max_age_days=self._config.max_database_age_days,
            wanted=self._config.ecosystems,
            undecided=Counter(ecosystem for ecosystem, _ in doubtful),
        )

    def _everything_held(self) -> Mapping[str, Held]:
        with open_database(database_path(self._config, self._context)) as database:
            return {info.base: Held(True, info.newest_modified, info.broken) for info in database.ecosystems()}


def _is_fresh(held: Held, oldest: datetime) -> bool:
    return held.is_held and (held.updated_at is None or held.updated_at >= oldest)


def _info(source: AdvisorySource, held: Mapping[str, Held]) -> ScannerInfo:
    """Name the tool and its data, dated by the oldest ecosystem that was used."""
    dates = [one.updated_at for one in held.values() if one.updated_at is not None]
    return ScannerInfo(
        tool="scanguard-osv",
        version=version("scanguard-osv"),
        database_updated_at=min(dates, default=None),
        database=source.name,
    )


def _as_reader(opened: object) -> ImageReader:
    return cast("ImageReader", opened)
