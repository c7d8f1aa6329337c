"""Mode ``ondemand``: submit an image, ask after the scan, fetch its results. Basic authentication."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from pydantic import JsonValue

from scanguard.errors import ScannerOutputError, ScanTargetNotFoundError, ScanUnsupportedError
from scanguard.hooks import PluginContext, ScanRequest, Ticket
from scanguard.model.image import ResolvedImage
from scanguard.model.report import ScannerInfo, ScanReport
from scanguard.model.secret import SecretRef
from scanguard_qualys.config import QualysConfig
from scanguard_qualys.identity import confirm
from scanguard_qualys.report import Results, ScanStatus, read
from scanguard_qualys.reporting import CLOUD, cloud_report
from scanguard_qualys.service import QualysService, UnauthorizedError, credentials, refused
from scanguard_qualys.tickets import image_in, moment_in, ticket_value

SCAN: Final = "/csapi/v1.3/images/scan"
_UNDER_WAY: Final = frozenset({"PENDING", "RUNNING", "QUEUED", "SUBMITTED"})


class OnDemandScanner:
    """Asks a service that scans what it is told to. Each call of the engine sends one request."""

    def __init__(self, config: QualysConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._service = QualysService(config, context)

    async def submit(self, request: ScanRequest) -> Ticket:
        """Ask for a scan."""
        image = request.image
        if image.reference is None:
            raise ScanUnsupportedError(f"{image.source} is in no registry; Qualys pulls images itself", plugin="qualys")
        keyed = {"Idempotency-Key": request.key} if self._config.idempotency_key else {}
        data = await self._send("POST", SCAN, body=await self._wanted(image), headers=keyed, missing_ok=True)
        if data is None:
            raise ScanTargetNotFoundError(f"Qualys does not find {image.source}", plugin="qualys", target=image.source)
        scan = read(ScanStatus, data, "the answer to the submit")
        if not scan.scan_id or len(scan.scan_id) > 200 or "/" in scan.scan_id:
            raise ScannerOutputError("the answer to the submit holds no usable scanId", plugin="qualys")
        value = ticket_value(request, self._context.clock.now(), stage="status", scan=scan.scan_id)
        return self._later(value)

    async def poll(self, ticket: Ticket) -> ScanReport | Ticket:
        """Ask after the scan, or fetch its results."""
        scan = str(ticket.value["scan"])
        if ticket.value.get("stage") == "results":
            return await self._report(ticket, scan)
        data = await self._send("GET", f"{SCAN}/{scan}/status")
        status = read(ScanStatus, data or b"", "the status of a scan").status.upper()
        if status in _UNDER_WAY:
            return self._later(ticket.value)
        if status == "COMPLETED":
            return Ticket({**ticket.value, "stage": "results"}, self._context.clock.now(), 1)
        if status == "FAILED":
            raise ScannerOutputError(f"Qualys could not scan it: scan {scan} FAILED; see it there", plugin="qualys")
        raise ScannerOutputError("the status of a scan is none of the four that are known", plugin="qualys")

    async def find(self, request: ScanRequest) -> None:
        """The contract has no way to look for a scan; the Idempotency-Key is what there is."""
        return

    async def info(self) -> ScannerInfo:
        """The service."""
        return ScannerInfo(tool=CLOUD, version="on demand", database="Qualys KnowledgeBase")

    async def check(self) -> None:
        """Whether the service is there and takes the credentials: asks after a scan that there is not."""
        await self._send("GET", f"{SCAN}/scanguard-doctor/status", missing_ok=True)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()

    async def _report(self, ticket: Ticket, scan: str) -> ScanReport:
        data = await self._send("GET", f"{SCAN}/{scan}/results")
        return await asyncio.to_thread(self._mapped, ticket, data or b"")

    def _mapped(self, ticket: Ticket, data: bytes) -> ScanReport:
        image = image_in(ticket)
        results = read(Results, data, "the results of a scan")
        metadata = results.metadata
        named = (metadata.image_id, metadata.sha, metadata.digest, *(one.digest for one in metadata.repo_digests))
        return cloud_report(
            image,
            (one.detection() for one in results.vulnerabilities),
            (one.control() for one in results.compliance),
            started_at=moment_in(ticket),
            finished_at=self._context.clock.now(),
            operating_system=metadata.operating_system,
            confirmed=confirm(image, named, "the result"),
            vendor={"scan_id": str(ticket.value["scan"])},
        )

    async def _wanted(self, image: ResolvedImage) -> dict[str, Any]:
        reference = image.reference
        if reference is None:
            raise ScanUnsupportedError(f"{image.source} is in no registry", plugin="qualys")
        is_config = self._config.image_id == "config" and image.config_digest
        wanted: dict[str, Any] = {
            **self._config.scan_options,
            "imageId": image.config_digest if is_config else image.digest,
            "registry": reference.registry,
            "repository": reference.repository,
            "tag": reference.tag or "",
        }
        appliance = self._config.appliance_id
        if isinstance(appliance, SecretRef):
            appliance = str((await self._context.secret(appliance)).get_secret_value())
        return {**wanted, "scannerApplianceId": appliance} if appliance else wanted

    async def _send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        missing_ok: bool = False,
    ) -> bytes | None:
        username, password = await credentials(self._config, self._context)
        encoded = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
        sent = {"Authorization": f"Basic {encoded}", **(headers or {})}
        try:
            return (await self._service.send(method, path, headers=sent, body=body, missing_ok=missing_ok)).data
        except UnauthorizedError:
            raise refused(self._context.instance) from None

    def _later(self, value: Mapping[str, JsonValue]) -> Ticket:
        return Ticket(value, self._context.clock.now() + timedelta(seconds=self._config.poll_interval_s))
