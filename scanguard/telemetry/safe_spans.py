"""The last fence before spans leave: those of libraries and plugins hold whatever they were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status
from opentelemetry.util.types import Attributes, AttributeValue

from scanguard.telemetry.records import MAX_TRACEBACK, shortened
from scanguard.telemetry.redact import redact


class SafeSpans(SpanExporter):
    """Hands spans on without credentials, each text of bounded length."""

    def __init__(self, to: SpanExporter) -> None:
        self._to = to

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export safe copies."""
        return self._to.export([safe(span) for span in spans])

    def shutdown(self) -> None:
        """Shut the other exporter down."""
        self._to.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the other exporter."""
        return self._to.force_flush(timeout_millis)


def safe(span: ReadableSpan) -> ReadableSpan:
    """The span as people may read it."""
    status = span.status
    return ReadableSpan(
        name=_text(span.name),
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=_safe(span.attributes),
        events=[Event(_text(one.name), _safe(one.attributes), one.timestamp) for one in span.events],
        links=[Link(link.context, _safe(link.attributes)) for link in span.links],
        kind=span.kind,
        status=Status(status.status_code, _text(status.description) if status.description else None),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _safe(attributes: Attributes) -> Mapping[str, AttributeValue]:
    return {name: _value(value) for name, value in (attributes or {}).items()}


def _value(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Sequence):
        return [_text(one) if isinstance(one, str) else one for one in value]
    return value


def _text(text: str) -> str:
    return shortened(redact(text), MAX_TRACEBACK)
