"""Traces as a collector has them: every span that ended, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from scanguard.telemetry.traces import tracing


class Spans:
    """The spans that ended."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == name]

    def of(self, trace_id: int) -> list[ReadableSpan]:
        return [span for span in self.all() if trace_of(span) == trace_id]


def trace_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.trace_id


def traceparent_of(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def links_of(span: ReadableSpan) -> set[int]:
    return {link.context.trace_id for link in span.links}


def said(span: ReadableSpan, name: str) -> object:
    return (span.attributes or {}).get(name)


@contextmanager
def collecting_spans(sampler: Sampler | None = None) -> Iterator[Spans]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with tracing(provider.get_tracer("scanguard")):
        yield Spans(exporter)
    provider.shutdown()
    assert not trace.get_current_span().get_span_context().is_valid
