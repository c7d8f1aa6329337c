"""The engine's numbers, as the configuration gives them."""

from __future__ import annotations

from scanguard.engine.limits import EngineLimits
from scanguard.settings.schema import EngineSettings


def engine_limits(settings: EngineSettings) -> EngineLimits:
    """What the section ``engine`` says."""
    return EngineLimits(
        attempts=settings.attempts,
        delivery_attempts=settings.delivery_attempts,
        backoff_s=settings.backoff_s,
        max_backoff_s=settings.max_backoff_s,
        lease_s=settings.lease_s,
    )
