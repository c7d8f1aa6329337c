"""Sends traces, metrics and events where the environment wants them, while a process works."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from scanguard.errors import PluginContractError, ScanguardError
from scanguard.hooks import Exporters, ObserverSpec
from scanguard.telemetry.export import collector_exporters, is_disabled, is_unwanted

log = logging.getLogger("scanguard.telemetry")


@contextmanager
def observing(environ: Mapping[str, str], observers: Iterable[ObserverSpec] = ()) -> Iterator[None]:
    """Send telemetry meanwhile, if the environment asks for it; flush at the end, for three seconds at most.

    Args:
        environ: The environment. A collector is asked for by ``OTEL_EXPORTER_OTLP_ENDPOINT`` and its like, an
            observer by variables of its own. ``OTEL_TRACES_EXPORTER=none`` and its like switch a signal off,
            ``OTEL_SDK_DISABLED=true`` everything.
        observers: What plugins offer.

    Where somebody (``opentelemetry-instrument``, the host of a function) has set up a provider already, that one is
    used as it is.

    Errors:
        ConfigError: a variable makes no sense, or what it needs is not installed.
        PluginContractError: an observer cannot be had.
    """
    found = [] if is_disabled(environ) else [one for one in _exporters(environ, observers) if _sends(one)]
    if not found:
        yield
        return
    from scanguard.telemetry.providers import providing  # noqa: PLC0415  # the SDK, for those who export

    with providing(found, environ):
        yield


def _exporters(environ: Mapping[str, str], observers: Iterable[ObserverSpec]) -> Sequence[Exporters]:
    opened = [collector_exporters(environ), *(made for spec in observers if (made := _opened(spec, environ)))]
    return [
        replace(
            one,
            spans=None if is_unwanted(environ, "traces") else one.spans,
            metrics=None if is_unwanted(environ, "metrics") else one.metrics,
            logs=None if is_unwanted(environ, "logs") else one.logs,
        )
        for one in opened
    ]


def _opened(spec: ObserverSpec, environ: Mapping[str, str]) -> Exporters | None:
    try:
        return spec.open(environ) if spec.wanted(environ) else None
    except ScanguardError:
        raise
    except Exception as exc:
        raise PluginContractError(
            f"opening the observer {spec.name!r} raised {type(exc).__name__}, which its contract forbids: "
            "set OTEL_SDK_DISABLED=true to go on without telemetry",
            plugin=spec.name,
        ) from exc


def _sends(one: Exporters) -> bool:
    return any(exporter is not None for exporter in (one.spans, one.metrics, one.logs))
