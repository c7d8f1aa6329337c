"""The scanner: run the program in folders of its own, read the report file it writes."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from scanguard.errors import (
    ConfigError,
    PluginContractError,
    ProcessError,
    ScannerOutputError,
    ScannerUnavailableError,
    ScanTimeoutError,
)
from scanguard.hooks import PluginContext, ScanRequest, Ticket
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport
from scanguard.model.secret import SecretRef
from scanguard.process import run_process
from scanguard_qualys.config import QualysConfig
from scanguard_qualys.identity import confirm
from scanguard_qualys.mapping import to_findings
from scanguard_qualys.pods import gateway_of
from scanguard_qualys.qscanner.command import arguments, environment
from scanguard_qualys.qscanner.exit_codes import Ended, read_exit
from scanguard_qualys.qscanner.program import Program
from scanguard_qualys.qscanner.report import Inventory, Sarif
from scanguard_qualys.report import read
from scanguard_qualys.service import QualysService
from scanguard_qualys.session import Session

TOOL: Final = "QScanner"
_MAX_OUTPUT: Final = 16 * 1024 * 1024
_LEAST_TIME_S: Final = 5.0
_VERDICTS: Final = {Ended.DENIED: "DENY", Ended.AUDITED: "AUDIT"}


class QscannerScanner:
    """Runs QScanner and answers at once, from ``submit``."""

    def __init__(self, config: QualysConfig, context: PluginContext) -> None:
        if config.qscanner is None:
            raise ConfigError(f"instance {context.instance} has no qscanner section", target=context.instance)
        self._config = config
        self._options = config.qscanner
        self._context = context
        self._program = Program(self._options, context)
        self._service = QualysService(config, context)
        self._session = Session(config, context, self._service)

    async def submit(self, request: ScanRequest) -> ScanReport:
        """Scan now."""
        started_at = self._context.clock.now()
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="scanguard-qscanner-"))
        try:
            ended = await self._run(request, folder, started_at)
            return await asyncio.to_thread(self._report, request, folder / "out", ended, started_at)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    async def poll(self, ticket: Ticket) -> ScanReport:
        """Refuse: this mode gives no tickets."""
        raise PluginContractError("qscanner answers at once and gives no tickets", plugin="qualys")

    async def find(self, request: ScanRequest) -> None:
        """Nothing is ever left running."""
        return

    async def info(self) -> ScannerInfo:
        """The program; its version is in each report."""
        return ScannerInfo(tool=TOOL, version="", database="Qualys KnowledgeBase")

    async def check(self) -> None:
        """Whether the program is there and the gateway lets us in."""
        await self._program.path()
        await self._token()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()

    async def _run(self, request: ScanRequest, folder: Path, started_at: datetime) -> Ended:
        for name in ("out", "cache", "docker"):
            (folder / name).mkdir()
        left = min(self._config.timeout_s, (request.deadline - started_at).total_seconds())
        if left < _LEAST_TIME_S:
            raise ScanTimeoutError("no time is left to run QScanner", plugin="qualys")
        argv = arguments(
            await self._program.path(),
            request.image,
            self._options,
            pod=await self._pod(),
            folder=folder,
            timeout_s=left,
        )
        env = environment(await self._token(), await self._context.images.credential(request.image), folder)
        try:
            finished = await run_process(argv, env=env, timeout_s=left, max_output_bytes=_MAX_OUTPUT, cwd=folder)
        except ProcessError as exc:
            if "did not end" in exc.message:
                raise ScanTimeoutError(exc.message, plugin="qualys") from exc
            if "wrote more" in exc.message:
                raise ScannerOutputError(exc.message, plugin="qualys") from exc
            raise ScannerUnavailableError(f"{exc.message}; is it built for this machine?", plugin="qualys") from exc
        meaning = read_exit(finished.returncode)
        if not isinstance(meaning, Ended):
            raise meaning
        return meaning

    def _report(self, request: ScanRequest, folder: Path, ended: Ended, started_at: datetime) -> ScanReport:
        try:
            sarif = read(Sarif, self._file(folder, "-Report.sarif.json"), "QScanner's report")
        except ScannerUnavailableError as exc:  # a file does not get better by waiting
            raise ScannerOutputError(exc.message, plugin="qualys") from exc
        inventory = self._inventory(folder)
        artifacts = [artifact.properties for run in sarif.runs for artifact in run.artifacts]
        identity = inventory.metadata.target.image
        named = [identity.image_id, *identity.repo_digests]
        named += [name for one in artifacts for name in (one.image_id, one.repo_digest)]
        image = request.image
        verdict = _VERDICTS.get(ended)
        return ScanReport(
            digest=image.digest,
            platform=image.platform,
            scanner=ScannerInfo(
                tool=TOOL,
                version=inventory.version or sarif.runs[0].tool.driver.version,
                database="Qualys KnowledgeBase",
            ),
            started_at=started_at,
            finished_at=self._context.clock.now(),
            findings=to_findings(sarif.detections()),
            coverage=_coverage(inventory, next((one.os_name for one in artifacts if one.os_name), ""), ended),
            confirmed=confirm(image, named, "QScanner's report"),
            vendor={"policy_verdict": verdict} if verdict else {},
        )

    def _inventory(self, folder: Path) -> Inventory:
        try:
            return read(Inventory, self._file(folder, "-ScanResult.json"), "QScanner's inventory")
        except FileNotFoundError:
            return Inventory()

    def _file(self, folder: Path, suffix: str) -> bytes:
        """The one file of this kind. What the program printed is never a result."""
        found = sorted(path for path in folder.rglob(f"*{suffix}") if path.is_file() and not path.is_symlink())
        if not found and suffix == "-ScanResult.json":
            raise FileNotFoundError(suffix)
        if len(found) != 1:
            raise ScannerOutputError(f"QScanner wrote {len(found)} files *{suffix}, where one was due", plugin="qualys")
        size = found[0].stat().st_size
        if size > self._options.max_report_bytes:
            raise ScannerOutputError(f"QScanner's report has {size:,} bytes, which is too much", plugin="qualys")
        return found[0].read_bytes()

    async def _token(self) -> str:
        reference: SecretRef | None = self._config.access_token
        if reference is not None:
            return str((await self._context.secret(reference)).get_secret_value()).strip()
        log_in: Callable[[], Awaitable[str]] = self._session.token
        return await log_in()

    async def _pod(self) -> str:
        url = self._config.url
        if isinstance(url, SecretRef):
            return str((await self._context.secret(url)).get_secret_value()).strip()
        if self._config.pod is not None:
            return self._config.pod if url is None else url
        return url or gateway_of("")


def _coverage(inventory: Inventory, os_name: str, ended: Ended) -> Coverage:
    items = [
        CoverageItem(
            subject=f"{scan.kind or 'a scan'} ({TOOL})",
            status=CoverageStatus.COVERED if scan.status.upper() == "SUCCESS" else CoverageStatus.NOT_COVERED,
            detail="" if scan.status.upper() == "SUCCESS" else "QScanner says that it failed",
        )
        for scan in inventory.scans
    ]
    if os_name:
        items.append(CoverageItem(subject=os_name, status=CoverageStatus.COVERED))
    if ended is Ended.IN_PART and all(item.status is CoverageStatus.COVERED for item in items):
        items.append(
            CoverageItem(
                subject="the whole image",
                status=CoverageStatus.PARTIAL,
                detail="QScanner says that a kind of scan failed",
            )
        )
    return Coverage(items=tuple(items))
