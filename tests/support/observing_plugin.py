"""An observer that writes what it gets into a file, and a scanner that traces and logs carelessly."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from telemetry_plugin import Config, Scanner

from scanguard import Exporters, ObserverSpec, ScannerSpec, ScanReport, ScanRequest, hookimpl

scanguard_api_version = 1
FILE = "OBSERVED_FILE"


class Careless(Scanner):
    async def submit(self, request: ScanRequest) -> ScanReport:
        from opentelemetry.trace import get_tracer  # noqa: PLC0415  # a plugin that traces has it

        assert self.config.token is not None
        secret = (await self.context.secret(self.config.token)).get_secret_value()
        about: dict[str, Any] = {"q": f"?sig={secret}", "all": ["x", secret], "number": 7}
        with get_tracer("acme").start_as_current_span(f"ask {secret}", attributes=about) as span:
            span.add_event("asked", {"with": f"Authorization: Bearer {secret}"})
            try:
                raise ValueError(f"refused {secret}")
            except ValueError as exc:
                span.record_exception(exc)
                self.context.log.exception("it refused %s", secret, extra={"used": secret})
            logging.getLogger("elsewhere").error("a library says something")
        return await super().submit(request)


def exporters(environ: Mapping[str, str]) -> Exporters:
    if environ[FILE] == "broken":
        raise RuntimeError("it is broken")
    from opentelemetry.sdk._logs.export import (  # noqa: PLC0415  # loaded by those who export
        LogRecordExporter,
        LogRecordExportResult,
    )
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult  # noqa: PLC0415  # as above

    def write(kind: str, items: Sequence[Any]) -> None:
        with Path(environ[FILE]).open("a") as out:
            out.writelines(json.dumps([kind, json.loads(item.to_json())]) + "\n" for item in items)

    class Spans(SpanExporter):
        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            write("span", spans)
            return SpanExportResult.SUCCESS

    class Logs(LogRecordExporter):
        def export(self, batch: Sequence[Any]) -> LogRecordExportResult:
            write("log", batch)
            logging.getLogger("acme.exporter").error("an exporter talks about itself")
            return LogRecordExportResult.SUCCESS

        def shutdown(self) -> None:
            """Nothing is open."""

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return True

    return Exporters(spans=Spans(), logs=Logs(), resource={"cloud.region": "mars"}, event_attribute="acme.event")


@hookimpl
def scanguard_observers() -> list[ObserverSpec]:
    return [ObserverSpec(name="acme-file", wanted=lambda environ: FILE in environ, open=exporters)]


@hookimpl
def scanguard_scanners() -> list[ScannerSpec]:
    return [ScannerSpec(name="acme-careless", config=Config, build=Careless)]
