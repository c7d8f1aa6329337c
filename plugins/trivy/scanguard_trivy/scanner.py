"""The scanner: prepare, ask, parse, map, return."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from scanguard.errors import ConfigError, PluginContractError, ScanTimeoutError
from scanguard.hooks import PluginContext, ScanRequest, Ticket
from scanguard.model.finding import ComplianceCheck, SecretFinding
from scanguard.model.image import ResolvedImage
from scanguard.model.report import Coverage, ScannerInfo, ScanReport
from scanguard_trivy.checks import map_checks, map_secrets
from scanguard_trivy.command import Folders, Login, Target, login_for, scan_arguments, server_environment
from scanguard_trivy.config import TrivyConfig
from scanguard_trivy.coverage import Database, describe_coverage
from scanguard_trivy.databases import Databases, database_date
from scanguard_trivy.failures import lacks_java_database, refuse
from scanguard_trivy.folders import run_folders
from scanguard_trivy.identity import confirm_image
from scanguard_trivy.layout import write_layout
from scanguard_trivy.mapping import Findings, map_findings
from scanguard_trivy.program import Program
from scanguard_trivy.report import TrivyReport
from scanguard_trivy.report_file import read_report
from scanguard_trivy.server import ask_server
from scanguard_trivy.versions import VersionInfo, check_version


@dataclass(frozen=True, slots=True)
class _Mapped:
    """A report in our words."""

    found: Findings
    checks: tuple[ComplianceCheck, ...]
    secrets: tuple[SecretFinding, ...]


class TrivyScanner:
    """Runs Trivy once for each image; answers at once, from ``submit``."""

    def __init__(self, config: TrivyConfig, context: PluginContext) -> None:
        if config.server is not None and context.offline:
            raise ConfigError(
                f"instance {context.instance} uses a Trivy server, and no network may be used; leave out `server`",
                target=context.instance,
            )
        self._config = config
        self._context = context
        self._program = Program(config, context)
        self._databases = Databases(config, context, self._program)

    async def submit(self, request: ScanRequest) -> ScanReport:
        """Scan now. Raises ScanError, RegistryError for an image of this machine, SecretError for a token."""
        started_at = self._context.clock.now()
        remaining_s = self._until(request)
        async with self._folders() as folders:
            info = await self._prepare(folders, remaining_s)
            target = await self._target(request.image, folders)
            await self._ask(request.image, target, folders, remaining_s)
            report = await asyncio.to_thread(read_report, folders.report, self._config.max_report_bytes)
        confirmed = confirm_image(report, request.image)
        mapped = await asyncio.to_thread(_map, report)
        return ScanReport(
            digest=request.image.digest,
            platform=request.image.platform,
            scanner=info,
            started_at=started_at,
            finished_at=self._context.clock.now(),
            findings=mapped.found.findings,
            compliance=mapped.checks,
            secrets=mapped.secrets,
            coverage=self._coverage(report, info, mapped.found.unreadable),
            confirmed=confirmed,
        )

    async def poll(self, ticket: Ticket) -> ScanReport:
        """Refuse: this scanner gives no tickets."""
        raise PluginContractError("the trivy scanner answers at once and gives no tickets", plugin="trivy")

    async def find(self, request: ScanRequest) -> Ticket | None:
        """Nothing is ever left running, so nothing is found."""
        return None

    async def info(self) -> ScannerInfo:
        """The program's version, and the date of the database: the server's, or that of a cache nobody uses now."""
        async with self._folders() as folders:
            return await self._about(await self._program.version(folders))

    async def check(self) -> None:
        """Whether the program may be used, and a server or a database is there or can be had. Raises ScanError."""
        async with self._folders() as folders:
            told = await self._program.version(folders)
            await self._about(told)
            if not self._databases.may_download:
                await self._databases.bring_current(told, folders, lambda: self._config.update_timeout_s)

    async def aclose(self) -> None:
        """Nothing stays open between scans."""

    def _folders(self) -> AbstractAsyncContextManager[Folders]:
        config, context = self._config, self._context
        cache_dir = context.config_dir / config.cache_dir if config.cache_dir else context.data_dir / "trivy"
        work_dir = context.config_dir / config.work_dir if config.work_dir else None
        return run_folders(work_dir, cache_dir)

    def _until(self, request: ScanRequest) -> Callable[[], float]:
        """Seconds until the engine stops waiting; raises ScanTimeoutError when there are none."""

        def remaining_s() -> float:
            left = (request.deadline - self._context.clock.now()).total_seconds()
            if left <= 0:
                raise ScanTimeoutError("the scan's deadline has passed", plugin="trivy", target=request.image.source)
            return left

        return remaining_s

    async def _prepare(self, folders: Folders, remaining_s: Callable[[], float]) -> ScannerInfo:
        """Check the versions, and have a database."""
        told = await self._program.version(folders)
        return await self._about(await self._databases.bring_current(told, folders, remaining_s))

    async def _about(self, told: VersionInfo) -> ScannerInfo:
        url = self._config.server
        if url is None:
            state, database = told.vulnerability_db, "trivy-db"
        else:
            server = await ask_server(url, self._config, self._context)
            check_version(server, self._config, url)
            state, database = server.vulnerability_db, f"trivy-db of {url}"
        return ScannerInfo(
            tool="trivy", version=told.version, database_updated_at=database_date(state), database=database
        )

    async def _target(self, image: ResolvedImage, folders: Folders) -> Target:
        if image.reference is not None:
            return Target(image.platform, reference=image.source)
        layout = await write_layout(image, folders.temp / "image")
        return Target(image.platform, layout=layout)

    async def _ask(
        self, image: ResolvedImage, target: Target, folders: Folders, remaining_s: Callable[[], float]
    ) -> None:
        """Run Trivy on the image; once more with a Java database when it turns out to need one."""
        registry = image.reference.registry if image.reference else ""
        login = login_for(registry, await self._context.images.credential(image)) if registry else Login()
        token = await self._context.secret(self._config.server_token) if self._config.server_token else None
        for attempt in range(2):
            limit_s = min(self._config.timeout_s, remaining_s())
            finished = await self._program.run(
                scan_arguments(self._config, target, folders, login, timeout_s=limit_s),
                folders,
                timeout_s=limit_s,
                env={**login.env, **server_environment(token)},
                stdin=login.stdin,
            )
            if attempt == 0 and lacks_java_database(finished):
                await self._databases.fetch_java(folders, remaining_s)
                continue
            refuse(finished, "scan", image.source, is_about_image=True)
            return

    def _coverage(self, report: TrivyReport, info: ScannerInfo, unreadable: int) -> Coverage:
        database = Database(info.database_updated_at)
        return describe_coverage(report, self._config, database, self._context.clock.now(), unreadable=unreadable)


def _map(report: TrivyReport) -> _Mapped:
    results = report.results or ()
    return _Mapped(map_findings(results), map_checks(results), map_secrets(results))
