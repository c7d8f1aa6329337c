"""What the engine on a bench asks of plugins: scripted scanners, jobs, destinations and policies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from scanguard.engine.plan import (
    Hosted,
    HostedPlatform,
    HostedPolicy,
    HostedScanner,
    HostedSweep,
    Limited,
    Plan,
    PolicyRef,
)
from scanguard.errors import ImageNotFoundError, PluginMissingError, ScanguardError
from scanguard.hooks import PlatformSpec, PluginConfig, PolicyInput, ScannerSpec, SweepPage, SweepSpec
from scanguard.model.deployment import Deployment, Event
from scanguard.model.image import Platform, ResolvedImage
from scanguard.model.rate import Rate
from scanguard.model.verdict import Outcome, PolicyDecision, Reason

if TYPE_CHECKING:
    from scanguard.testing.rig import Rig


def digest_of(name: str) -> str:
    """A digest that stands for an image's name."""
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


@dataclass
class RigSweep:
    """A periodic job that answers from a script, by cursor; ``faults`` are raised, one a page, before it answers.

    With ``owns`` it lists what is deployed and its own, page by page, ``per_page`` at once, unless ``pages`` are given.
    """

    rig: Rig
    pages: Mapping[str, SweepPage] = field(default_factory=dict)
    every: timedelta | None = timedelta(hours=24)
    owns: Callable[[str], bool] | None = None
    per_page: int = 2
    rates: tuple[Rate, ...] = ()
    faults: list[ScanguardError] = field(default_factory=list)
    asked: list[tuple[str, datetime]] = field(default_factory=list)
    """Cursors it was asked for, and when."""

    async def page(self, cursor: str) -> SweepPage:
        """Answer."""
        self.asked.append((cursor, self.rig.memory.clock.now()))
        if self.faults:
            raise self.faults.pop(0)
        return self.pages[cursor] if self.pages else self._listing(cursor)

    def _listing(self, cursor: str) -> SweepPage:
        there = (one.resource_id for one in self.rig.deployments.values())
        names = sorted(one for one in there if self.owns is None or self.owns(one))
        start = int(cursor or 0)
        listed = names[start : start + self.per_page]
        following = str(start + self.per_page) if start + self.per_page < len(names) else None
        return SweepPage(cursor=following, listed=listed, done=len(listed))

    async def aclose(self) -> None:
        """Nothing to close."""


class RigPolicy:
    """Fails an image with findings, leaves unknown one with gaps or without a report."""

    async def evaluate(self, subject: PolicyInput) -> PolicyDecision:
        """Decide."""
        merged = subject.merged
        if merged is not None and merged.findings:
            ids = tuple(item.finding.id for item in merged.findings)
            return _decision(Outcome.FAIL, "it has findings", ids)
        if merged is None or any(not coverage.is_complete for coverage in merged.coverage.values()):
            return _decision(Outcome.UNKNOWN, "nobody looked everywhere")
        return PolicyDecision(outcome=Outcome.PASS)

    async def aclose(self) -> None:
        """Nothing to close."""


class AlwaysPass:
    """Passes everything, whatever was looked at."""

    async def evaluate(self, subject: PolicyInput) -> PolicyDecision:
        """Decide."""
        return PolicyDecision(outcome=Outcome.PASS)

    async def aclose(self) -> None:
        """Nothing to close."""


class RigHost:
    """What the engine asks of plugins."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def plan(self, deployment: Deployment) -> Plan:
        """The one chain."""
        return self._rig.plan

    def scanner(self, instance: str) -> HostedScanner:
        """A scripted scanner."""
        scanner = self._rig.scanners.get(instance)
        if scanner is None:
            raise PluginMissingError(f"there is no scanner {instance}")
        spec = ScannerSpec(
            name="rig",
            config=PluginConfig,
            build=lambda config, context: scanner,
            scan_timeout_s=self._rig.scan_timeout_s,
            poll_many=self._rig.poll_many,
            requests_per_scan=1 + sum(stage or 1 for stage in self._rig.scanners[instance].stages),
        )
        return HostedScanner(instance, spec, "options", lambda: scanner, self._rig.rates)

    def sink(self, instance: str) -> Hosted:
        """The sink."""
        return Hosted(instance, self._rig.sink.write, 10.0)

    def notifier(self, instance: str) -> Hosted:
        """The notifier."""
        return Hosted(instance, self._rig.notifier.write, 10.0)

    def policy(self, ref: PolicyRef) -> HostedPolicy:
        """The policy; the one named ``always-pass`` passes everything."""
        return HostedPolicy(ref.name, AlwaysPass() if ref.name == "always-pass" else RigPolicy(), 10.0)

    def sweeps(self) -> Sequence[str]:
        """The scripted jobs."""
        return tuple(self._rig.sweeps)

    def sweep(self, instance: str) -> HostedSweep:
        """A scripted job."""
        job = self._rig.sweeps.get(instance)
        if job is None:
            raise PluginMissingError(f"there is no job {instance}")
        spec = SweepSpec(
            name="rig",
            config=PluginConfig,
            build=lambda config, context: job,
            every=lambda config: job.every,
            lists_all=job.owns is not None,
            owns=job.owns,
        )
        return HostedSweep(instance, spec, job.every, lambda: job, Limited(instance, job.rates))

    def ignores(self, event: Event) -> str:
        """What the test says, by resource id."""
        return self._rig.ignored.get(event.resource_id, "")

    def platforms(self, resource_id: str) -> Sequence[HostedPlatform]:
        """The one platform, which owns everything."""
        spec = PlatformSpec(
            name="rig",
            config=PluginConfig,
            build=lambda config, context: self,
            owns=lambda _: True,
            knows_all=self._rig.knows_all,
            outline=self._rig.outline,
        )
        return [HostedPlatform("platform", spec, lambda: self, Limited("platform", self._rig.platform_rates))]

    async def describe(self, resource_id: str) -> Deployment | None:
        """What was deployed last."""
        self._rig.described.append((resource_id, self._rig.memory.clock.now()))
        if self._rig.describe_faults:
            raise self._rig.describe_faults.pop(0)
        found = self._rig.deployments.get(resource_id.lower())
        return replace_seen(found, self._rig) if found else None

    async def aclose(self) -> None:
        """Nothing to close."""

    async def resolve(self, name: str, platform: Platform | None) -> ResolvedImage:
        """Every name has a digest of its own, unless it is missing."""
        if self._rig.resolve_faults:
            raise self._rig.resolve_faults.pop(0)
        if name in self._rig.missing_images:
            raise ImageNotFoundError(f"there is no image {name}", target=name)
        return ResolvedImage(
            name=name,
            source=f"oci:{name}",
            reference=None,
            digest=digest_of(self._rig.retagged.get(name, name).partition("@")[0]),
            platform=platform or Platform(),
            resolved_at=self._rig.memory.clock.now(),
        )


def replace_seen(deployment: Deployment, rig: Rig) -> Deployment:
    """The same deployment, seen now."""
    return deployment.model_copy(update={"seen_at": rig.memory.clock.now()})


def _decision(outcome: Outcome, message: str, findings: tuple[str, ...] = ()) -> PolicyDecision:
    return PolicyDecision(
        outcome=outcome, reasons=(Reason(policy="rig", outcome=outcome, message=message, findings=findings),)
    )
