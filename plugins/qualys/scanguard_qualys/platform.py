"""Mode ``platform``: the public Container Security API.

It never scans what it is told to: it knows what sensors, QScanner and registry jobs have uploaded. So a scan is: start
a registry job where one is configured, wait until the image is there (404 before that is normal), then fetch its
vulnerabilities, page by page, and its compliance. Each poll says in its ticket how many requests the next one sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import JsonValue

from scanguard.errors import ScanError, ScannerOutputError, ScanUnsupportedError
from scanguard.hooks import PluginContext, ScanRequest, Ticket
from scanguard.model.image import ResolvedImage
from scanguard.model.report import ScannerInfo, ScanReport
from scanguard_qualys.config import QualysConfig
from scanguard_qualys.identity import bare, confirm
from scanguard_qualys.report import Compliance, ControlEntry, ImageList, ImageRecord, JobList, Vulnerability, read
from scanguard_qualys.report import VulnerabilityPage as Page
from scanguard_qualys.reporting import CLOUD, CSAPI, cloud_report
from scanguard_qualys.service import QualysService
from scanguard_qualys.session import Session
from scanguard_qualys.tickets import image_in, moment_in, ticket_value

BASE: Final = "/csapi/v1.3"
MAX_PAGES: Final = 1_000
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
_UNDER_WAY: Final = frozenset({"RUNNING", "QUEUED", "PENDING", "SCANNING", "INPROGRESS", "IN_PROGRESS"})


class PlatformScanner:
    """Waits for an image to appear in the account, and reads what is known of it."""

    def __init__(self, config: QualysConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._service = QualysService(config, context)
        self._session = Session(config, context, self._service)

    async def submit(self, request: ScanRequest) -> ScanReport | Ticket:
        """Start a registry job, or look whether the image is known already: one request."""
        value = ticket_value(request, self._context.clock.now(), stage="wait")
        if self._config.registry_id is None:
            return await self._look(value)
        await self._send("POST", self._jobs, body=self._job(request))
        return self._later(value)

    async def poll(self, ticket: Ticket) -> ScanReport | Ticket:
        """Look whether the image is there, or fetch what is known of it."""
        return await (self._fetch(ticket) if ticket.value.get("stage") == "fetch" else self._look(ticket.value))

    async def poll_many(self, tickets: Sequence[Ticket]) -> Sequence[ScanReport | Ticket | ScanError]:
        """Look after many images with one search."""
        terms = " or ".join(self._term(image_in(ticket)) for ticket in tickets)
        records = await self._search(terms, len(tickets))
        return [self._answer_for(ticket, records) for ticket in tickets]

    async def find(self, request: ScanRequest) -> Ticket | None:
        """A job of this request's name, where jobs are started; without jobs there is nothing that could be doubled."""
        if self._config.registry_id is not None:
            data = await self._send("GET", self._jobs, params={"pageSize": "50"}, missing_ok=True)
            jobs = read(JobList, data, "the list of jobs", list_as="data").data if data else ()
            if _job_name(request) not in {job.name for job in jobs}:
                return None
        return self._later(ticket_value(request, self._context.clock.now(), stage="wait"))

    async def info(self) -> ScannerInfo:
        """The service."""
        return ScannerInfo(tool=CLOUD, version=CSAPI, database="Qualys KnowledgeBase")

    async def check(self) -> None:
        """Whether the gateway is there, lets us in, and the account has the API."""
        await self._send("GET", f"{BASE}/images", params={"pageNumber": "1", "pageSize": "1"}, missing_ok=True)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()

    # --- is it there? -----------------------------------------------------------------------------------

    async def _look(self, value: Mapping[str, JsonValue]) -> Ticket:
        ticket = Ticket(value, self._context.clock.now())
        image = image_in(ticket)
        if image.config_digest is None:
            found = self._answer_for(ticket, await self._search(self._term(image), 2))
            if isinstance(found, ScanError):
                raise found
            return found
        data = await self._send("GET", f"{BASE}/images/{bare(image.config_digest)}", missing_ok=True)
        return self._later(value) if data is None else self._seen(ticket, read(ImageRecord, data, "the image's record"))

    def _term(self, image: ResolvedImage) -> str:
        if image.config_digest is not None:
            return f"sha:{bare(image.config_digest)}"
        return f"{self._config.digest_filter}:{bare(image.digest)}"

    async def _search(self, terms: str, most: int) -> Sequence[ImageRecord]:
        params = {"filter": terms, "pageNumber": "1", "pageSize": str(most)}
        data = await self._send("GET", f"{BASE}/images", params=params, missing_ok=True)
        return read(ImageList, data, "the list of images", list_as="data").data if data else ()

    def _answer_for(self, ticket: Ticket, records: Sequence[ImageRecord]) -> Ticket | ScanError:
        image = image_in(ticket)
        for record in records:
            is_it = (
                bare(record.sha) == bare(image.config_digest)
                if image.config_digest
                else bare(image.digest) in {bare(one.digest) for one in record.repo_digests}
            )
            if is_it:
                try:
                    return self._seen(ticket, record)
                except ScanError as exc:
                    return exc
        return self._later(ticket.value)

    def _seen(self, ticket: Ticket, record: ImageRecord) -> Ticket:
        """The image is in the account: fetch what is known, unless its scan is not done or too old."""
        image = image_in(ticket)
        status = record.scan_status.upper().replace(" ", "_")
        scanned = record.last_scanned or record.updated
        is_old = scanned is None or scanned < moment_in(ticket) - _CLOCKS_DIFFER
        if status in _UNDER_WAY or (self._config.force_scan and is_old):
            return self._later(ticket.value)
        named = [record.sha, *(one.digest for one in record.repo_digests)]
        confirm(image, named if image.config_digest is None else [record.sha], "the image's record")
        if status not in ("SUCCESS", ""):
            raise _failed(record)
        known: dict[str, JsonValue] = {
            "sha": bare(record.sha),
            "os": record.operating_system,
            "data_of": _iso(record.last_vm_scan or record.updated),
            "scan_types": list(record.scan_types),
        }
        return self._fetching(
            {**ticket.value, "stage": "fetch", "known": known}, -(-record.expected // self._config.page_size)
        )

    # --- what is known of it ----------------------------------------------------------------------------

    def _fetching(self, value: Mapping[str, JsonValue], pages: int) -> Ticket:
        pages = max(pages, 1)
        if pages > MAX_PAGES:
            raise ScannerOutputError(f"an image with more than {MAX_PAGES:,} pages of vulnerabilities", plugin="qualys")
        return Ticket({**value, "pages": pages}, self._context.clock.now(), pages + self._config.compliance)

    async def _fetch(self, ticket: Ticket) -> ScanReport | Ticket:
        known, pages = ticket.value["known"], ticket.value["pages"]
        if not isinstance(known, dict) or not isinstance(pages, int):
            raise ScannerOutputError("a ticket of another version; replay the scan", plugin="qualys")
        sha = str(known["sha"])
        details: list[Vulnerability] = []
        for number in range(1, pages + 1):
            page = await self._page(sha, number)
            if number > 1 and page.details == tuple(details[: len(page.details)]):
                break  # the service does not page: it gave everything at once
            details += page.details
            if len(page.details) != self._config.page_size:
                break  # a short page is the last, a longer one is everything
        else:
            if page.count is None or page.count > len(details):
                more = 2 * pages if page.count is None else -(-page.count // self._config.page_size)
                return self._fetching(ticket.value, max(more, pages + 1))
        controls = await self._controls(sha)
        return await asyncio.to_thread(self._report, ticket, details, controls, known)

    async def _page(self, sha: str, number: int) -> Page:
        params = {"type": "ALL", "applyException": "false"}
        params |= {"pageNumber": str(number), "pageSize": str(self._config.page_size)}
        data = await self._send("GET", f"{BASE}/images/{sha}/vuln", params=params)
        return await asyncio.to_thread(read, Page, data or b"", "a page of vulnerabilities", list_as="details")

    async def _controls(self, sha: str) -> Sequence[ControlEntry]:
        if not self._config.compliance:
            return ()
        data = await self._send("GET", f"{BASE}/images/{sha}/compliance", missing_ok=True)
        return read(Compliance, data, "the compliance of an image", list_as="controls").controls if data else ()

    def _report(
        self,
        ticket: Ticket,
        details: Sequence[Vulnerability],
        controls: Sequence[ControlEntry],
        known: Mapping[str, Any],
    ) -> ScanReport:
        data_of = known.get("data_of")
        return cloud_report(
            image_in(ticket),
            (one.detection() for one in details),
            (one.control() for one in controls),
            started_at=moment_in(ticket),
            finished_at=self._context.clock.now(),
            operating_system=str(known.get("os") or ""),
            confirmed=True,
            data_of=datetime.fromisoformat(data_of) if isinstance(data_of, str) else None,
            vendor={"image_sha": str(known["sha"]), "scan_types": known.get("scan_types") or []},
        )

    # --- asking -----------------------------------------------------------------------------------------

    @property
    def _jobs(self) -> str:
        return f"{BASE}/registry/{self._config.registry_id}/schedule"

    def _job(self, request: ScanRequest) -> dict[str, Any]:
        """A job for one image. How filters nest is not documented; the names are (create a registry schedule)."""
        reference = request.image.reference
        if reference is None:
            raise ScanUnsupportedError(f"{request.image.source} is in no registry that Qualys knows", plugin="qualys")
        tag = {"repo": reference.repository, "tag": reference.tag or request.image.digest}
        return {
            "name": _job_name(request),
            "onDemand": True,
            "forceScan": self._config.force_scan,
            "filters": [{"days": None, "repoTags": [tag]}],
        }

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        missing_ok: bool = False,
    ) -> bytes | None:
        reply = await self._session.call(
            lambda headers: self._service.send(
                method, path, headers=headers, params=params, body=body, missing_ok=missing_ok
            )
        )
        return reply.data

    def _later(self, value: Mapping[str, JsonValue]) -> Ticket:
        return Ticket(value, self._context.clock.now() + timedelta(seconds=self._config.poll_interval_s))


def _job_name(request: ScanRequest) -> str:
    return f"scanguard-{request.key}"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _failed(record: ImageRecord) -> ScanError:
    code = record.scan_error_code if record.scan_error_code.replace("_", "").isalnum() else ""
    text = f"Qualys could not scan the image ({(record.scan_status + ' ' + code).strip()[:80]})"
    unsupported = any(word in code.upper() for word in ("UNSUPPORTED", "NOT_SUPPORTED", "NOTSUPPORTED"))
    return (ScanUnsupportedError if unsupported else ScannerOutputError)(text, plugin="qualys")
