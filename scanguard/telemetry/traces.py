"""Spans: one trace from an event to its notifications, whoever handles the messages in between.

Costs nothing while nobody receives traces in this process: whoever does has imported OpenTelemetry before, so it is
never imported here for nothing. What a span says is bounded and goes through :func:`~scanguard.telemetry.redact`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, Literal

from scanguard.telemetry.records import shortened
from scanguard.telemetry.redact import redact

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanContext, Tracer

TRACER: Final = "scanguard"
COMPONENT: Final = "scanguard.component"
"""The attribute that names who was at work: the instance of a plugin, or a part of the engine."""
MOST_LINKS: Final = 32
MAX_VALUE: Final = 500
"""Characters of an attribute."""
MAX_ERROR: Final = 1_000
"""Characters of an error's text."""
Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | int | float | bool
_TRACEPARENT: Final = "traceparent"


_active: list[Tracer] = []


def tracer() -> Tracer | None:
    """Where to trace: what :func:`tracing` set up, else OpenTelemetry's own provider; None without any."""
    if _active:
        return _active[-1]
    if "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry.trace import get_tracer  # noqa: PLC0415  # it is loaded already

    return get_tracer(TRACER)


@contextmanager
def tracing(to: Tracer) -> Iterator[None]:
    """Trace with this tracer meanwhile."""
    _active.append(to)
    try:
        yield
    finally:
        _active.remove(to)


class Working:
    """A span that is open, or nothing when there is none."""

    def __init__(self, span: Span | None = None, component: str = "") -> None:
        self._span = span
        self._component = component

    @property
    def traceparent(self) -> str:
        """What continues this trace from here, as W3C spells it; empty without a trace."""
        return _spelled(self._span.get_span_context()) if self._span else ""

    def set(self, attributes: Mapping[str, Value]) -> None:
        """Say more about it."""
        if self._span is not None:
            self._span.set_attributes(bounded(attributes))

    def went_wrong(self, kind: str, message: str = "") -> None:
        """Say which kind of failure it ended in."""
        if self._span is None:
            return
        from opentelemetry.trace import StatusCode  # noqa: PLC0415  # there is a span

        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR, message or None)

    def failed(self, error: BaseException, *, is_logged: bool = False) -> None:
        """Say that it went wrong. With a component, and unless a log says it, the error is an event of the span."""
        if self._span is None or not self._span.is_recording():
            return
        message = shortened(redact(_text(error)), MAX_ERROR)
        self.went_wrong(type(error).__name__, message)
        if self._component and not is_logged:
            about = {"exception.type": _qualified(error), "exception.message": message, COMPONENT: self._component}
            self._span.add_event("exception", about)


_UNTRACED: Final = nullcontext(Working())
"""Is entered for every message and request that nobody traces, and costs next to nothing."""


def span(
    name: str,
    kind: Kind = "internal",
    attributes: Mapping[str, Value] | None = None,
    *,
    parent: str = "",
    links: Iterable[str] = (),
    component: str = "",
    is_root: bool = False,
) -> AbstractContextManager[Working]:
    """A span for everything inside; an exception that leaves it is noted on it.

    Args:
        name: Of few values: no ids.
        kind: What OpenTelemetry calls its kind.
        attributes: Cut and redacted here.
        parent: A ``traceparent`` to go on from; without one, what is open here. What is open here is linked then.
        links: ``traceparent`` of others that this is for; 32 at most.
        component: Who is at work, noted with an exception.
        is_root: Begins a trace, whatever is open here.
    """
    to = tracer()
    if to is None:
        return _UNTRACED
    from opentelemetry.trace import SpanKind  # noqa: PLC0415  # loaded: there is a tracer

    about = {**({COMPONENT: component} if component else {}), **(attributes or {})}
    opened = to.start_span(
        name,
        context=_context(parent, is_root=is_root),
        kind=SpanKind[kind.upper()],
        attributes=bounded(about),
        links=_links([*links, *([current_traceparent()] if parent or is_root else [])], but=parent),
    )
    return _inside(opened, Working(opened, component))


@contextmanager
def _inside(opened: Span, working: Working) -> Iterator[Working]:
    from opentelemetry.trace import use_span  # noqa: PLC0415  # loaded: there is a span

    with use_span(opened, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield working
        except (Exception, asyncio.CancelledError) as exc:
            working.failed(exc)
            raise


def current_traceparent(default: str = "") -> str:
    """What continues the trace that is open here; ``default`` without one."""
    if "opentelemetry.trace" not in sys.modules:
        return default
    from opentelemetry.trace import get_current_span  # noqa: PLC0415  # it is loaded already

    return _spelled(get_current_span().get_span_context()) or default


def link_to(traceparents: Iterable[str]) -> None:
    """Say of the span that is open here that it works for these traces as well."""
    if "opentelemetry.trace" not in sys.modules:
        return
    from opentelemetry.trace import get_current_span  # noqa: PLC0415  # it is loaded already

    here = get_current_span()
    if here.is_recording():
        for link in _links(traceparents):
            here.add_link(link.context)


@contextmanager
def continuing(traceparent: str, tracestate: str = "") -> Iterator[None]:
    """Everything inside belongs to a trace that somebody else began, such as the host of a function."""
    if tracer() is None or not traceparent:
        yield
        return
    from opentelemetry import context  # noqa: PLC0415  # it is loaded already

    token = context.attach(_extracted(traceparent, tracestate))
    try:
        yield
    finally:
        context.detach(token)


def bounded(attributes: Mapping[str, Value]) -> dict[str, Value]:
    """Attributes without credentials, each of bounded length; empty ones are left out."""
    return {
        name: shortened(redact(value), MAX_VALUE) if isinstance(value, str) else value
        for name, value in attributes.items()
        if value != ""
    }


def _context(parent: str, *, is_root: bool) -> Context | None:
    from opentelemetry.context import Context  # noqa: PLC0415  # there is a tracer

    if is_root:
        return Context()
    return _extracted(parent) if parent else None


def _extracted(traceparent: str, tracestate: str = "") -> Context:
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415  # there is a tracer
        TraceContextTextMapPropagator,
    )

    return TraceContextTextMapPropagator().extract({_TRACEPARENT: traceparent, "tracestate": tracestate})


def _links(traceparents: Iterable[str], but: str = "") -> list[Link]:
    from opentelemetry.trace import Link, get_current_span  # noqa: PLC0415  # there is a tracer

    wanted = [one for one in dict.fromkeys(traceparents) if one and _trace_id(one) != _trace_id(but)]
    found = [get_current_span(_extracted(one)).get_span_context() for one in wanted[:MOST_LINKS]]
    return [Link(context) for context in found if context.is_valid]


def _trace_id(traceparent: str) -> str:
    return traceparent[3:35]


def _spelled(context: SpanContext) -> str:
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _qualified(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as exc:  # whatever a plugin raised
        return f"[no text: {type(exc).__name__}]"
