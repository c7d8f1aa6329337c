"""What a soak does: how many of everything, and which deployment runs which image."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Plan:
    """The numbers of a soak; seconds unless the name says otherwise.

    Attributes:
        deployments: How many, each with one event.
        digests: How many different images they run.
        shared: How many of the deployments run the first image.
        workers: Processes at work at any time.
        kills: How many of them are killed with -9.
        kill_every_s: Average time between two kills.
        fault_rate: Share of the scanner's calls that fail.
        fault_calls: Calls of the scanner that fail by chance, separated by commas.
        seed: Of all that is left to chance, but for what the machine does.
        latency_s: How long a scan takes.
        deadline_s: When a deployment is judged with what is there; short ones are judged again later.
        lease_s: How long a dead worker's scan stays its own.
        batches: Calls of ``scanguard event``; spread over the kills, so that there is work until the last one.
        limit_s: When the soak is given up.
    """

    deployments: int = 300
    digests: int = 30
    shared: int = 60
    workers: int = 3
    kills: int = 10
    kill_every_s: float = 1.0
    fault_rate: float = 0.2
    fault_calls: str = "submit,poll,find"
    seed: int = 1
    latency_s: float = 1.0
    deadline_s: float = 2700.0
    lease_s: float = 5.0
    batches: int = 5
    limit_s: float = 1800.0

    def __post_init__(self) -> None:
        """Refuse numbers that make no soak."""
        if self.digests < 3:
            raise ValueError("three images are the least: one that is shared, one that always fails, one that does not")
        if not 0 < self.shared <= self.deployments:
            raise ValueError("the shared image is run by at least one deployment, and by no more than there are")
        if min(self.workers, self.batches) < 1 or self.kills < 0:
            raise ValueError("one worker and one batch are the least, and kills are not negative")

    @cached_property
    def failing(self) -> frozenset[int]:
        """Images whose every scan fails, one in fifty: what rests on them must stay unknown."""
        chosen = random.Random(self.seed).sample(range(1, self.digests), max(1, self.digests // 50))
        return frozenset(chosen)

    def images(self, deployment: int) -> tuple[int, ...]:
        """Images that a deployment runs; every tenth that is not one of the shared runs two."""
        if deployment < self.shared:
            return (0,)
        others = self.digests - 1
        number = deployment - self.shared
        first = 1 + number % others
        return (first, 1 + first % others) if number % 10 == 9 else (first,)

    def order(self) -> Sequence[Sequence[int]]:
        """Deployments in batches, in the order of their events."""
        numbers = list(range(self.deployments))
        random.Random(self.seed + 1).shuffle(numbers)
        size = -(-self.deployments // self.batches)
        return [numbers[start : start + size] for start in range(0, self.deployments, size)]
