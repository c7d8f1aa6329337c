"""Counts and measures; costs nothing while nobody receives metrics in this process.

Whoever does has imported OpenTelemetry before (an SDK cannot be set up without), so it is never imported here for
nothing: a cold start stays one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from scanguard.telemetry.instruments import (
    DEAD_LETTERS,
    DELIVERIES,
    EVENTS,
    MESSAGE_DURATION,
    MESSAGES,
    METRICS,
    SCAN_DURATION,
    SCANS,
    TIME_TO_VERDICT,
    VERDICTS,
    Metric,
)

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation

METER: Final = "scanguard"
MOST_INSTANCES: Final = 200
"""Names of instances that are told apart; further ones are counted together, so that series stay few."""
OTHERS: Final = "_other"

Values = Iterable[tuple[float, str]]
"""Values of a gauge and the lanes they are about."""


class Recorder:
    """The instruments of one meter."""

    def __init__(self, meter: Meter) -> None:
        self.gauges: dict[Metric, Callable[[], Values]] = {}
        self._instances: set[str] = set()
        self._instruments: dict[Metric, Any] = {metric: self._made(meter, metric) for metric in METRICS}

    def _made(self, meter: Meter, metric: Metric) -> object:
        about = {"name": metric.name, "unit": metric.unit, "description": metric.description}
        if metric.kind == "counter":
            return meter.create_counter(**about)
        if metric.kind == "histogram":
            return meter.create_histogram(**about, explicit_bucket_boundaries_advisory=metric.buckets)
        return meter.create_observable_gauge(callbacks=[self._callback(metric)], **about)

    def _callback(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        from opentelemetry.metrics import Observation  # noqa: PLC0415  # whoever made the meter has it

        def observe(_: CallbackOptions) -> Iterator[Observation]:
            for value, lane in self.gauges.get(metric, tuple)():
                yield Observation(value, {"lane": lane})

        return observe

    def add(self, metric: Metric, amount: int = 1, **attributes: str) -> None:
        """Count."""
        if amount:
            self._instruments[metric].add(amount, self._bounded(attributes))

    def measure(self, metric: Metric, seconds: float, **attributes: str) -> None:
        """Note a length of time; clocks that disagree make none negative."""
        self._instruments[metric].record(max(seconds, 0.0), self._bounded(attributes))

    def _bounded(self, attributes: Mapping[str, str]) -> dict[str, str]:
        return {
            name: self._known(value) if name in ("scanner", "instance") else value for name, value in attributes.items()
        }

    def _known(self, instance: str) -> str:
        if instance not in self._instances and len(self._instances) >= MOST_INSTANCES:
            return OTHERS
        self._instances.add(instance)
        return instance


_active: list[Recorder] = []


def recorder() -> Recorder | None:
    """Where to record: what :func:`recording` set up, else OpenTelemetry's own meter provider; None without any."""
    if not _active and "opentelemetry.metrics" in sys.modules:
        from opentelemetry.metrics import get_meter  # noqa: PLC0415  # it is loaded already

        _active.append(Recorder(get_meter(METER)))
    return _active[-1] if _active else None


@contextmanager
def recording(meter: Meter) -> Iterator[Recorder]:
    """Record with this meter meanwhile."""
    made = Recorder(meter)
    _active.append(made)
    try:
        yield made
    finally:
        _active.remove(made)


def count_events(*, accepted: int, skipped: int, rejected: int) -> None:
    """What became of a payload's events."""
    if to := recorder():
        for outcome, amount in (("accepted", accepted), ("skipped", skipped), ("rejected", rejected)):
            to.add(EVENTS, amount, outcome=outcome)


def count_message(kind: str, outcome: str, seconds: float | None = None) -> None:
    """A message: ``handled``, ``again`` (given back), ``foreign`` (of another version) or ``stopped`` (cut short)."""
    if to := recorder():
        to.add(MESSAGES, kind=kind, outcome=outcome)
        if seconds is not None:
            to.measure(MESSAGE_DURATION, seconds, kind=kind)


def count_scan(scanner: str, outcome: str, seconds: float | None) -> None:
    """A scan that ended: ``done`` or ``failed``."""
    if to := recorder():
        to.add(SCANS, scanner=scanner, outcome=outcome)
        if seconds is not None:
            to.measure(SCAN_DURATION, seconds, scanner=scanner, outcome=outcome)


def count_verdict(outcome: str, seconds: float | None) -> None:
    """A verdict; ``seconds`` since its event, if it is the deployment's first."""
    if to := recorder():
        to.add(VERDICTS, outcome=outcome)
        if seconds is not None:
            to.measure(TIME_TO_VERDICT, seconds)


def count_delivery(instance: str, outcome: str) -> None:
    """A try to deliver: ``delivered`` or ``failed``."""
    if to := recorder():
        to.add(DELIVERIES, instance=instance, outcome=outcome)


def count_dead_letter(kind: str) -> None:
    """Something was given up: an ``assessment``, a ``scan`` or a ``delivery``."""
    if to := recorder():
        to.add(DEAD_LETTERS, kind=kind)
