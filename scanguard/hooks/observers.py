"""Where telemetry goes besides an OpenTelemetry collector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # listed without loading OpenTelemetry
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter


@dataclass(frozen=True, slots=True)
class Exporters:
    """What takes the telemetry of this process; None for a signal that is not wanted.

    The application makes the providers, takes credentials out, batches, flushes at the end and shuts down.

    Attributes:
        resource: Attributes that say who sends it, besides ``service.*``; the environment's go before them.
        event_attribute: The attribute in which a log record names its event, where that is asked for.
    """

    spans: SpanExporter | None = None
    metrics: MetricExporter | None = None
    logs: LogRecordExporter | None = None
    resource: Mapping[str, str] = field(default_factory=dict)
    event_attribute: str = ""


@dataclass(frozen=True, slots=True)
class ObserverSpec:
    """A place for telemetry on offer.

    Attributes:
        wanted: Whether the environment asks for it; called at the start of every long-running process, so it only
            looks at variables.
        open: Makes the exporters, once, without network. Raises ConfigError for a variable that makes no sense.
    """

    name: str
    wanted: Callable[[Mapping[str, str]], bool]
    open: Callable[[Mapping[str, str]], Exporters]
    description: str = ""
