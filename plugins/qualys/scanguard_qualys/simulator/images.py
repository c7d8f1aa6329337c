"""Images as the simulated account knows them: when their results are there, and what is in them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from scanguard_qualys.simulator.scenario import Scenario, SimulatedImage
from scanguard_qualys.simulator.vulnerabilities import compliance, vulnerabilities


def bare(digest: str) -> str:
    """A digest's hex digits."""
    return digest.rpartition(":")[2].lower()


@dataclass(frozen=True, slots=True)
class Content:
    """What the account will know of an image once its scan is done."""

    key: str
    latency_s: float
    outcome: str
    operating_system: str
    vulnerabilities: list[dict[str, Any]]
    compliance: list[dict[str, Any]]
    config: str = ""
    digest: str = ""


class Images:
    """The images of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._listed: dict[str, SimulatedImage] = {}
        for image in scenario.images:
            for digest in (image.digest, image.config):
                if digest:
                    self._listed[bare(digest)] = image
        self._made: dict[str, Content] = {}

    def content(self, key: str) -> Content | None:
        """An image by its manifest's or its config's digest, or any other name for it; None when it is not known."""
        key = bare(key)
        listed = self._listed.get(key)
        if listed is None and not self._scenario.any_image:
            return None
        name = bare(listed.config or listed.digest) if listed else key
        if name not in self._made:
            self._made[name] = self._content(name, listed or SimulatedImage())
        return self._made[name]

    def _content(self, key: str, image: SimulatedImage) -> Content:
        scenario = self._scenario
        chance = random.Random(f"{scenario.seed} {key} latency")  # noqa: S311  # the same answer every time
        spread = 1 + scenario.latency_spread * chance.uniform(-1, 1)
        system = scenario.operating_system if image.operating_system is None else image.operating_system
        count = scenario.findings if image.findings is None else image.findings
        return Content(
            key=key,
            latency_s=scenario.latency_s * spread if image.latency_s is None else image.latency_s,
            outcome=image.outcome,
            operating_system=system,
            vulnerabilities=vulnerabilities(key, count, system or "Linux", scenario.seed),
            compliance=compliance(key, scenario.seed),
            config=bare(image.config),
            digest=bare(image.digest),
        )
