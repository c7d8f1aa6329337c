"""Whether, and where, telemetry goes to an OpenTelemetry collector: what the environment says.

Variables are those of the specification
(https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/); whatever is not read here, such
as ``OTEL_METRIC_EXPORT_INTERVAL`` or ``OTEL_TRACES_SAMPLER``, the SDK reads itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from scanguard.errors import ConfigError
from scanguard.hooks import Exporters
from scanguard.telemetry.secrets import conceal

Signal = Literal["metrics", "traces"]
_DEFAULT_ENDPOINT: Final = "http://localhost:4318"
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_NEEDED: Final[Mapping[Signal, tuple[str, ...]]] = {
    "metrics": ("opentelemetry.sdk.metrics", "opentelemetry.exporter.otlp.proto.http.metric_exporter"),
    "traces": ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter"),
}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a signal goes."""

    url: str
    headers: Mapping[str, str]


def is_disabled(environ: Mapping[str, str]) -> bool:
    """Whether the environment switches all telemetry off."""
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def is_unwanted(environ: Mapping[str, str], signal: str) -> bool:
    """Whether the environment switches one signal off, wherever it would go: ``OTEL_TRACES_EXPORTER=none``."""
    return environ.get(_exporter(signal), "").strip().lower() == "none"


def collector_exporters(environ: Mapping[str, str]) -> Exporters:
    """What sends to the collector that the environment names; nothing without one.

    Errors:
        ConfigError: a variable makes no sense, or the extra ``telemetry`` is not installed.
    """
    traces, metrics = destination(environ, "traces"), destination(environ, "metrics")
    made: dict[str, object] = {}
    if traces is not None:
        _require_extra("traces")
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  # loaded by those who export
            OTLPSpanExporter,
        )

        made["spans"] = OTLPSpanExporter(endpoint=traces.url, headers=dict(traces.headers))
    if metrics is not None:
        _require_extra("metrics")
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415  # as above

        made["metrics"] = OTLPMetricExporter(endpoint=metrics.url, headers=dict(metrics.headers))
    return Exporters(**made)  # type: ignore[arg-type]  # made above


def destination(environ: Mapping[str, str], signal: Signal = "metrics") -> Destination | None:
    """Where the environment wants a signal to go; None when it does not. Raises ConfigError."""
    name = _exporter(signal)
    exporter = environ.get(name, "").strip().lower()
    if is_disabled(environ) or exporter == "none":
        return None
    if not (exporter or environ.get(_ENDPOINT) or environ.get(_of(signal, "ENDPOINT"))):
        return None
    if exporter not in ("", "otlp"):
        raise ConfigError(f"{name}={exporter!r}: {signal} go out as otlp, or with none not at all", target=name)
    for protocol in (_of(signal, "PROTOCOL"), "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if environ.get(protocol, "http/protobuf") not in ("", "http/protobuf"):
            raise ConfigError(f"{protocol}={environ[protocol]!r}: only http/protobuf is spoken here", target=protocol)
    return Destination(_url(environ, signal), _headers(environ, signal))


def _exporter(signal: str) -> str:
    return f"OTEL_{signal.upper()}_EXPORTER"


def _of(signal: Signal, what: str) -> str:
    return f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}"


def _url(environ: Mapping[str, str], signal: Signal) -> str:
    own = _of(signal, "ENDPOINT")
    name = own if environ.get(own) else _ENDPOINT
    url = environ.get(name) or _DEFAULT_ENDPOINT
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ConfigError(f"{name} is no http or https URL, such as http://collector:4318", target=name)
    return url if name == own else f"{url.rstrip('/')}/v1/{signal}"


def _headers(environ: Mapping[str, str], signal: Signal) -> dict[str, str]:
    """``name=value,…``, percent-encoded; they hold the collector's key, so their values are kept out of logs."""
    text = environ.get(_of(signal, "HEADERS")) or environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    headers = {unquote(name).strip().lower(): unquote(value).strip() for name, _, value in pairs}
    for value in headers.values():
        conceal(value)
        conceal(value.rpartition(" ")[2])
    return headers


def _require_extra(signal: Signal) -> None:
    try:
        missing = [name for name in _NEEDED[signal] if find_spec(name) is None]
    except ModuleNotFoundError as exc:
        missing = [exc.name or ""]
    if missing:
        raise ConfigError(
            f"the environment asks for {signal} ({_ENDPOINT} or {_exporter(signal)}), and {missing[0]} is not "
            f'installed: pip install "scanguard[telemetry]", or set {_exporter(signal)}=none'
        )
