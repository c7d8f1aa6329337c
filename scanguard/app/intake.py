"""From a payload to the messages that take its events in: needs plugins, and one list of the configuration."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from scanguard.engine.intake import intake_message
from scanguard.intake import parse_events, why_ignored
from scanguard.loader import Plugins
from scanguard.model.deployment import Event
from scanguard.ports import Lane, Message
from scanguard.telemetry.metrics import count_events
from scanguard.telemetry.traces import tracer


@dataclass(frozen=True)
class Accepted:
    """What became of a payload: assessments, events that say nothing of a deployment, broken ones."""

    ids: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()

    def count(self) -> None:
        """Count it in the metrics, once it is durable."""
        count_events(accepted=len(self.ids), skipped=len(self.skipped), rejected=len(self.rejected))

    @property
    def attributes(self) -> dict[str, int]:
        """The numbers, as a span says them."""
        numbers = {"accepted": len(self.ids), "skipped": len(self.skipped), "rejected": len(self.rejected)}
        return {f"scanguard.{outcome}": number for outcome, number in numbers.items()}


@dataclass(frozen=True, slots=True)
class Intake:
    """Understands events, and leaves out those of ``excluded`` resources and of ``own_actors``."""

    plugins: Plugins
    excluded: Collection[str] = ()
    own_actors: Collection[str] = ()

    def messages(self, payload: bytes, *, lane: Lane = Lane.FRESH) -> tuple[list[Message], Accepted]:
        """The messages that take events in, for a caller who makes them durable and only then acknowledges.

        Raises EventError for a payload that is no event at all.
        """
        parsed = parse_events(payload, self.plugins.catalog.event_sources.values())
        ignored = [(event, why_ignored(event, self.excluded, self.own_actors)) for event in parsed.events]
        messages = intake_messages([event for event, why in ignored if not why], lane)
        skipped = (*parsed.skipped, *(why for _, why in ignored if why))
        return messages, Accepted(tuple(one.id for one in messages), skipped, parsed.rejected)


def intake_messages(events: Sequence[Event], lane: Lane, *, force: bool = False) -> list[Message]:
    """A message for each event, in the trace of whoever sent it, or in one of its own."""
    if tracer() is None:
        return [intake_message(event, lane, force=force) for event in events]
    from scanguard.engine.tracing import begun_trace  # noqa: PLC0415  # only where somebody receives traces

    alone = len(events) == 1
    traces = [begun_trace(event, is_alone=alone) for event in events]
    return [
        intake_message(event, lane, force=force, traceparent=trace) for event, trace in zip(events, traces, strict=True)
    ]
