"""The SDK's providers, for as long as a process works. Imports the SDK: only those who export load it."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from scanguard.hooks import Exporters
from scanguard.telemetry.metrics import METER, recording
from scanguard.telemetry.record_export import RecordExport, exporting_records
from scanguard.telemetry.safe_spans import SafeSpans
from scanguard.telemetry.traces import TRACER, tracing

FLUSH_S: Final = 3.0
"""For the last export when the process stops; whoever does not answer holds nobody up for longer."""
Stop = Callable[[], object]
log = logging.getLogger("scanguard.telemetry")


@contextmanager
def providing(found: Sequence[Exporters], environ: Mapping[str, str]) -> Iterator[None]:
    """Providers for these exporters meanwhile, also for the tracers and meters of plugins."""
    resource = _resource(found, environ)
    stops: list[tuple[str, Stop]] = []
    with ExitStack() as stack:
        try:
            _trace(found, resource, stack, stops)
            _measure(found, resource, stack, stops)
            _log(found, resource, stack, stops)
            yield
        finally:
            _stop(stops)


def _resource(found: Sequence[Exporters], environ: Mapping[str, str]) -> Resource:
    """Who sends it; what the environment says goes before what observers know."""
    given = environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    about = {name: value for one in found for name, value in one.resource.items() if f"{name}=" not in given}
    about |= {"service.version": version("scanguard"), "service.instance.id": str(uuid.uuid4())}
    if environ.get("OTEL_SERVICE_NAME") or "service.name=" in given:
        about.pop("service.name", None)
    else:
        about.setdefault("service.name", "scanguard")
    return Resource.create(about)


def _trace(found: Sequence[Exporters], resource: Resource, stack: ExitStack, stops: list[tuple[str, Stop]]) -> None:
    exporters = [one.spans for one in found if one.spans is not None]
    if not exporters or isinstance(trace.get_tracer_provider(), TracerProvider):
        return
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(SafeSpans(exporter)))
    trace.set_tracer_provider(provider)
    stops.append(("spans", provider.shutdown))
    stack.enter_context(tracing(provider.get_tracer(TRACER, version("scanguard"))))


def _measure(found: Sequence[Exporters], resource: Resource, stack: ExitStack, stops: list[tuple[str, Stop]]) -> None:
    exporters = [one.metrics for one in found if one.metrics is not None]
    if not exporters or isinstance(metrics.get_meter_provider(), MeterProvider):
        return
    readers = [PeriodicExportingMetricReader(exporter) for exporter in exporters]
    provider = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
    metrics.set_meter_provider(provider)
    stops.append(("metrics", lambda: provider.shutdown(timeout_millis=2 * FLUSH_S * 1_000)))
    stack.enter_context(recording(provider.get_meter(METER, version("scanguard"))))


def _log(found: Sequence[Exporters], resource: Resource, stack: ExitStack, stops: list[tuple[str, Stop]]) -> None:
    handlers = []
    for one in found:
        if one.logs is not None:
            provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
            provider.add_log_record_processor(BatchLogRecordProcessor(one.logs))
            handlers.append(RecordExport(provider, one.event_attribute))
            stops.append(("events", provider.shutdown))
    if handlers:
        stack.enter_context(exporting_records(handlers))


def _stop(stops: Sequence[tuple[str, Stop]]) -> None:
    """Flush and shut down at once, in threads that are left behind when they take too long."""
    stopping = [(what, threading.Thread(target=_quietly, args=(what, stop), daemon=True)) for what, stop in stops]
    for _, thread in stopping:
        thread.start()
    until = time.monotonic() + FLUSH_S
    for what, thread in stopping:
        thread.join(max(until - time.monotonic(), 0.0))
        if thread.is_alive():
            log.warning("the last %s were not exported within %.0f s", what, FLUSH_S)


def _quietly(what: str, stop: Stop) -> None:
    try:
        stop()
    except Exception as exc:  # the SDK raises Exception itself when a reader fails to stop
        log.warning("the last %s may not have been exported: %s", what, exc)
