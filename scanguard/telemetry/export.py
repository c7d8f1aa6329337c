"""Sends metrics to an OpenTelemetry collector, when the environment names one.

Variables are those of the specification
(https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/); whatever is not read here, such
as ``OTEL_METRIC_EXPORT_INTERVAL``, the SDK reads itself.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from scanguard.errors import ConfigError
from scanguard.telemetry.metrics import METER, recording
from scanguard.telemetry.secrets import conceal

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider

FLUSH_S: Final = 3.0
"""For the last export when the process stops; a collector that does not answer holds nobody up for longer."""
_DEFAULT_ENDPOINT: Final = "http://localhost:4318"
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_METRICS_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
_EXPORTER: Final = "OTEL_METRICS_EXPORTER"
_NEEDED: Final = ("opentelemetry.sdk.metrics", "opentelemetry.exporter.otlp.proto.http.metric_exporter")
log = logging.getLogger("scanguard.telemetry")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where metrics go."""

    url: str
    headers: Mapping[str, str]


@contextmanager
def configure_metrics(environ: Mapping[str, str]) -> Iterator[None]:
    """Export metrics meanwhile, if the environment asks for it; flush at the end, for three seconds at most.

    Args:
        environ: The environment. ``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`` or
            ``OTEL_METRICS_EXPORTER=otlp`` ask for it; ``OTEL_METRICS_EXPORTER=none`` and ``OTEL_SDK_DISABLED=true``
            forbid it. A meter provider that is set up already is used as it is.

    Errors:
        ConfigError: a variable makes no sense, or the extra ``telemetry`` is not installed.
    """
    to = destination(environ)
    if to is None:
        yield
        return
    _require_extra()
    provider = _provider(to, environ)
    if provider is None:
        yield
        return
    try:
        with recording(provider.get_meter(METER, version("scanguard"))):
            yield
    finally:
        _stop(provider)


def destination(environ: Mapping[str, str]) -> Destination | None:
    """Where the environment wants metrics to go; None when it does not. Raises ConfigError."""
    exporter = environ.get(_EXPORTER, "").strip().lower()
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporter == "none":
        return None
    if not (exporter or environ.get(_ENDPOINT) or environ.get(_METRICS_ENDPOINT)):
        return None
    if exporter not in ("", "otlp"):
        raise ConfigError(
            f"{_EXPORTER}={exporter!r}: metrics go out as otlp, or with none not at all", target=_EXPORTER
        )
    for name in ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if environ.get(name, "http/protobuf") not in ("", "http/protobuf"):
            raise ConfigError(f"{name}={environ[name]!r}: only http/protobuf is spoken here", target=name)
    return Destination(_url(environ), _headers(environ))


def _url(environ: Mapping[str, str]) -> str:
    name = _METRICS_ENDPOINT if environ.get(_METRICS_ENDPOINT) else _ENDPOINT
    url = environ.get(name) or _DEFAULT_ENDPOINT
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_url = False
    if not is_url:
        raise ConfigError(f"{name} is no http or https URL, such as http://collector:4318", target=name)
    return url if name == _METRICS_ENDPOINT else f"{url.rstrip('/')}/v1/metrics"


def _headers(environ: Mapping[str, str]) -> dict[str, str]:
    """``name=value,…``, percent-encoded; they hold the collector's key, so their values are kept out of logs."""
    text = environ.get("OTEL_EXPORTER_OTLP_METRICS_HEADERS") or environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    headers = {unquote(name).strip().lower(): unquote(value).strip() for name, _, value in pairs}
    for value in headers.values():
        conceal(value)
        conceal(value.rpartition(" ")[2])
    return headers


def _require_extra() -> None:
    try:
        missing = [name for name in _NEEDED if find_spec(name) is None]
    except ModuleNotFoundError as exc:
        missing = [exc.name or ""]
    if missing:
        raise ConfigError(
            f"the environment asks for metrics ({_ENDPOINT} or {_EXPORTER}), and {missing[0]} is not installed: "
            'pip install "scanguard[telemetry]", or set OTEL_METRICS_EXPORTER=none'
        )


def _provider(to: Destination, environ: Mapping[str, str]) -> MeterProvider | None:
    """A provider, also for the meters of plugins; None when somebody (``opentelemetry-instrument``) made one."""
    from opentelemetry import metrics  # noqa: PLC0415  # loaded by those who export
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415  # as above
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415  # as above
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415  # as above
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  # as above

    if isinstance(metrics.get_meter_provider(), MeterProvider):
        return None
    about = {"service.version": version("scanguard"), "service.instance.id": str(uuid.uuid4())}
    if not environ.get("OTEL_SERVICE_NAME") and "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        about["service.name"] = "scanguard"
    exporter = OTLPMetricExporter(endpoint=to.url, headers=dict(to.headers))
    provider = MeterProvider(
        [PeriodicExportingMetricReader(exporter)], resource=Resource.create(about), shutdown_on_exit=False
    )
    metrics.set_meter_provider(provider)
    return provider


def _stop(provider: MeterProvider) -> None:
    """Flush and shut down, in a thread that is left behind when it takes too long."""

    def stop() -> None:
        try:
            provider.shutdown(timeout_millis=2 * FLUSH_S * 1_000)
        except Exception as exc:  # the SDK raises Exception itself when a reader fails to stop
            log.warning("the last metrics may not have been exported: %s", exc)

    stopping = threading.Thread(target=stop, name="scanguard-metrics-stop", daemon=True)
    stopping.start()
    stopping.join(FLUSH_S)
    if stopping.is_alive():
        log.warning("the last metrics were not exported within %.0f s", FLUSH_S)
