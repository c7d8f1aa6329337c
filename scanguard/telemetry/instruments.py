"""Every metric: its name, unit, attributes and meaning. ``docs/telemetry.md`` holds the same table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

_STEPS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_WAITS: Final = (
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1_200.0,
    1_800.0,
    2_700.0,
    3_600.0,
    14_400.0,
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: What a collector calls it.
        kind: A sum that only grows, a distribution, or a value asked for at each export.
        unit: In UCUM (https://ucum.org), as OpenTelemetry asks.
        attributes: Names of its attributes. Their values come from enumerations and from the names of instances in
            the configuration; never from an image, a vulnerability or a resource.
        description: What it counts or measures.
        buckets: Upper bounds of a histogram's buckets.
    """

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    unit: str
    attributes: tuple[str, ...]
    description: str
    buckets: tuple[float, ...] = ()


EVENTS: Final = Metric("scanguard.events", "counter", "{event}", ("outcome",), "Events that were taken in.")
MESSAGES: Final = Metric(
    "scanguard.messages", "counter", "{message}", ("kind", "outcome"), "Messages a worker took from the queue."
)
MESSAGE_DURATION: Final = Metric(
    "scanguard.message.duration",
    "histogram",
    "s",
    ("kind",),
    "From taking a message to acknowledging it, or giving it back.",
    _STEPS,
)
SCANS: Final = Metric("scanguard.scans", "counter", "{scan}", ("scanner", "outcome"), "Scans that ended.")
SCAN_DURATION: Final = Metric(
    "scanguard.scan.duration",
    "histogram",
    "s",
    ("scanner", "outcome"),
    "From asking for a scan to its end, waiting for quota and for the scanner included.",
    _WAITS,
)
VERDICTS: Final = Metric("scanguard.verdicts", "counter", "{verdict}", ("outcome",), "Verdicts that were decided.")
TIME_TO_VERDICT: Final = Metric(
    "scanguard.time_to_verdict",
    "histogram",
    "s",
    (),
    "From the time an event states to the first verdict on its deployment.",
    _WAITS,
)
DELIVERIES: Final = Metric(
    "scanguard.deliveries",
    "counter",
    "{delivery}",
    ("instance", "outcome"),
    "Tries to give a verdict to a sink or notifier.",
)
DEAD_LETTERS: Final = Metric("scanguard.dead_letters", "counter", "{letter}", ("kind",), "Work that was given up.")
QUEUE_DEPTH: Final = Metric(
    "scanguard.queue.depth", "gauge", "{message}", ("lane",), "Messages in a queue, held and delayed ones included."
)
QUEUE_AGE: Final = Metric(
    "scanguard.queue.oldest_age",
    "gauge",
    "s",
    ("lane",),
    "How long the oldest message that nobody took could be taken.",
)

METRICS: Final = (
    EVENTS,
    MESSAGES,
    MESSAGE_DURATION,
    SCANS,
    SCAN_DURATION,
    VERDICTS,
    TIME_TO_VERDICT,
    DELIVERIES,
    DEAD_LETTERS,
    QUEUE_DEPTH,
    QUEUE_AGE,
)
"""All of them."""
