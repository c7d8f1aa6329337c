"""Spans as Application Insights shows them best. Imports the SDK: only those who export load it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

COMPONENT: Final = "Component"
"""The dimension of an exception that says whose it is."""
_SPAN_COMPONENT: Final = "scanguard.component"


class NamedComponents(SpanExporter):
    """Hands spans on, with ``Component`` on each exception: what an exception has is all that its row shows."""

    def __init__(self, to: SpanExporter) -> None:
        self._to = to

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export, named."""
        return self._to.export([named(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the exporter down."""
        self._to.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the exporter."""
        return self._to.force_flush(timeout_millis)


def named(span: ReadableSpan) -> ReadableSpan:
    """The span, its exceptions with the component they, or it, name."""
    if not span.events:
        return span
    return ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=[_named(event, (span.attributes or {}).get(_SPAN_COMPONENT)) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _named(event: Event, component: object) -> Event:
    about = dict(event.attributes or {})
    whose = about.pop(_SPAN_COMPONENT, component)
    return Event(event.name, {**about, COMPONENT: str(whose)} if whose else about, event.timestamp)
