"""The observer that counts what ends, beside whoever else watches."""

from __future__ import annotations

from scanguard.engine.plan import Observer, Progress
from scanguard.telemetry.metrics import count_delivery, count_scan, count_verdict


def metered(others: Observer | None) -> Observer:
    """An observer that counts a step, then tells ``others``."""

    def observe(step: Progress) -> None:
        _count(step)
        if others is not None:
            others(step)

    return observe


def _count(step: Progress) -> None:
    if step.ended == "scan":
        count_scan(step.instance, step.phase, step.seconds)
    elif step.ended == "delivery":
        count_delivery(step.instance, "failed" if step.phase == "failed" else "delivered")
    elif step.ended == "verdict":
        count_verdict(step.detail, step.seconds)
