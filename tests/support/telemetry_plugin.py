"""A plugin that behaves as its options say: for tests of what is logged and counted about it."""

from __future__ import annotations

import base64
from urllib.parse import quote

from scanguard import (
    Coverage,
    CoverageItem,
    CoverageStatus,
    Notice,
    NotifierSpec,
    NotifyError,
    PluginConfig,
    PluginContext,
    Receipt,
    ScannerInfo,
    ScannerSpec,
    ScanReport,
    ScanRequest,
    ScanUnsupportedError,
    SecretRef,
    Ticket,
    hookimpl,
)

scanguard_api_version = 1


class Config(PluginConfig):
    fails: bool = False
    token: SecretRef | None = None
    """Resolved, and then logged in every way a careless plugin may find."""
    meter: bool = False


class Scanner:
    def __init__(self, config: Config, context: PluginContext) -> None:
        self.config = config
        self.context = context

    async def submit(self, request: ScanRequest) -> ScanReport:
        if self.config.token is not None:
            self._say((await self.context.secret(self.config.token)).get_secret_value())
        if self.config.meter:
            from opentelemetry.metrics import get_meter  # noqa: PLC0415  # a plugin that measures has it

            get_meter("acme").create_counter("acme.requests").add(3)
        if self.config.fails:
            raise ScanUnsupportedError("this scanner knows no such image")
        now = self.context.clock.now()
        item = CoverageItem(subject="all", status=CoverageStatus.COVERED)
        info = ScannerInfo(tool="acme", version="1")
        coverage = Coverage(items=(item,))
        image = request.image
        return ScanReport(
            digest=image.digest,
            platform=image.platform,
            scanner=info,
            started_at=now,
            finished_at=now,
            coverage=coverage,
        )

    def _say(self, secret: str) -> None:
        log = self.context.log
        log.warning("asking https://acme.example/v1?q=%s", quote(secret, safe=""))
        log.warning("with %s", {"Authorization": "Basic " + base64.b64encode(f"u:{secret}".encode()).decode()})
        log.warning(f"and {secret!r}\nforged", extra={"token_used": secret})
        try:
            raise ValueError(f"refused {secret}")
        except ValueError:
            log.exception("refused")

    async def poll(self, ticket: Ticket) -> ScanReport:
        raise AssertionError(ticket)

    async def find(self, request: ScanRequest) -> None:
        return None

    async def info(self) -> ScannerInfo:
        return ScannerInfo(tool="acme", version="1")

    async def aclose(self) -> None:
        """Nothing is open."""


class Notifier:
    def __init__(self, config: Config, context: PluginContext) -> None:
        self.config = config
        self.context = context

    async def send(self, notice: Notice) -> Receipt:
        if self.config.fails:
            raise NotifyError("nobody listens")
        return Receipt("acme", notice.key, self.context.clock.now())

    async def aclose(self) -> None:
        """Nothing is open."""


@hookimpl
def scanguard_scanners() -> list[ScannerSpec]:
    return [ScannerSpec(name="acme", config=Config, build=Scanner)]


@hookimpl
def scanguard_notifiers() -> list[NotifierSpec]:
    return [NotifierSpec(name="acme-pager", config=Config, build=Notifier)]
