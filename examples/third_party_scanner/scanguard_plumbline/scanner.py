"""The steps of a scan: submit, ask until it is done, map, return."""

from scanguard import (
    ConfigError,
    PluginContext,
    ScannerInfo,
    ScannerOutputError,
    ScannerUnavailableError,
    ScanReport,
    ScanRequest,
    ScanUnsupportedError,
    Ticket,
)

from scanguard_plumbline.client import Answer, PlumblineClient
from scanguard_plumbline.config import PlumblineConfig
from scanguard_plumbline.mapping import map_coverage, map_finding, map_info
from scanguard_plumbline.report import Report, Scan
from scanguard_plumbline.ticket import PlumblineTicket


class PlumblineScanner:
    """Waits without holding anything: between two questions there is only a ticket, in the engine's store."""

    def __init__(self, config: PlumblineConfig, context: PluginContext) -> None:
        if context.offline:
            raise ConfigError(
                f"instance {context.instance} asks a service, and no network may be used", target=context.instance
            )
        self._config = config
        self._clock = context.clock
        self._client = PlumblineClient(config, context)

    async def submit(self, request: ScanRequest) -> ScanReport | Ticket:
        """Ask for a scan; what the service has done already comes back at once."""
        started_at = self._clock.now()
        answer = await self._client.submit(request)
        return self._next(answer, PlumblineTicket.for_request(answer.scan.scan, request, started_at))

    async def poll(self, ticket: Ticket) -> ScanReport | Ticket:
        """Ask where it stands."""
        kept = PlumblineTicket.read(ticket)
        return self._next(await self._client.look_after(kept.scan), kept)

    async def find(self, request: ScanRequest) -> Ticket | None:
        """Ask for a scan with this key, which a process that died may have submitted."""
        found = await self._client.find(request.key)
        if found is None:
            return None
        now = self._clock.now()
        return PlumblineTicket.for_request(found.scan, request, now).to_ticket(now, 0)

    async def info(self) -> ScannerInfo:
        """The service; each report names the engine and the database that made it."""
        return ScannerInfo(tool="plumbline", version="v1")

    async def aclose(self) -> None:
        """Nothing stays open between questions."""

    def _next(self, answer: Answer, kept: PlumblineTicket) -> ScanReport | Ticket:
        if answer.scan.state == "failed":
            raise _failure(answer.scan)
        if answer.scan.state == "done":
            return self._report(answer.scan.report, kept)
        return kept.to_ticket(self._clock.now(), max(answer.wait_s or 0.0, self._config.poll_s))

    def _report(self, report: Report | None, kept: PlumblineTicket) -> ScanReport:
        if report is None:
            raise ScannerOutputError(f"{self._config.url} says the scan is done and gives no report")
        if report.digest != kept.digest:
            raise ScannerOutputError(f"asked for {kept.digest}, {self._config.url} reports on another image")
        return ScanReport(
            digest=kept.digest,
            platform=kept.platform,
            scanner=map_info(report),
            started_at=kept.started_at,
            finished_at=max(self._clock.now(), kept.started_at),
            findings=tuple(map_finding(found) for found in report.vulnerabilities),
            coverage=map_coverage(report),
        )


def _failure(scan: Scan) -> ScanUnsupportedError | ScannerUnavailableError:
    """A scan that failed; the service's own words stay out, but for the one word that changes what to do."""
    if scan.reason == "unsupported":
        return ScanUnsupportedError("the service cannot read this kind of image")
    return ScannerUnavailableError("the scan failed at the service")
