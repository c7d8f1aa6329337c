"""The engine's numbers."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Attempts and intervals; seconds everywhere.

    Attributes:
        attempts: How often a failing step is tried in all before it is given up (and is visible as such).
        delivery_attempts: The same for a sink write or a notice, which may wait longer for its destination.
        backoff_s: Wait after the first failure; doubled each time, up to ``max_backoff_s``, less up to half by chance.
        lease_s: How long a worker owns a scan or a delivery without a sign of life; it renews at a third of it.
        rearm_s: How long a row that nobody works on waits before the sweep sends its message again.
        max_sources: How many places of one digest are remembered.
        bar_s: How long a failed scan is the answer for other deployments of the image, so that an image that keeps
            failing is not scanned for each of them; doubled with each failure up to ``max_bar_s``. A failure that
            trying again cannot mend counts as ``lasting_bar_s`` at first.
        late_s: How long a verdict that lacks a scanner's report is completed when the report comes after all.
    """

    attempts: int = 5
    delivery_attempts: int = 12
    backoff_s: float = 15.0
    max_backoff_s: float = 1800.0
    lease_s: float = 30.0
    rearm_s: float = 60.0
    max_sources: int = 8
    bar_s: float = 300.0
    lasting_bar_s: float = 3600.0
    max_bar_s: float = 86_400.0
    late_s: float = 7 * 86_400.0
    chance: random.Random = field(default_factory=random.Random)

    def retry_at(self, now: datetime, attempts: int, retry_after_s: float | None = None) -> datetime:
        """When to try again after ``attempts`` failures, never before the other side allows."""
        wait = min(self.max_backoff_s, self.backoff_s * 2.0 ** min(max(attempts - 1, 0), 30))
        wait *= self.chance.uniform(0.5, 1.0)
        return now + timedelta(seconds=max(wait, retry_after_s or 0.0))

    def barred_until(self, now: datetime, failures: int, *, is_retryable: bool) -> datetime:
        """Until when a failed scan is taken for an answer, after so many failed runs."""
        first = self.bar_s if is_retryable else self.lasting_bar_s
        return now + timedelta(seconds=min(self.max_bar_s, first * 2.0 ** min(max(failures - 1, 0), 30)))

    def rearm_at(self, now: datetime) -> datetime:
        """When the sweep looks at a row again."""
        return now + timedelta(seconds=self.rearm_s)

    def lease_until(self, now: datetime) -> datetime:
        """When a lease taken now ends."""
        return now + timedelta(seconds=self.lease_s)
