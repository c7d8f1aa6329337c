"""What the engine needs to know of a chain, and of the objects that carry it out."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Protocol

from scanguard.engine.documents import OutboxItem, ScanTask
from scanguard.errors import PluginContractError
from scanguard.hooks import DeploymentPlatform, Notice, PlatformSpec, Policy, Scanner, ScannerSpec, Sweep, SweepSpec
from scanguard.model.base import base_of
from scanguard.model.deployment import Deployment, Event
from scanguard.model.image import Platform, ResolvedImage
from scanguard.model.rate import Rate
from scanguard.model.verdict import Outcome, Verdict
from scanguard.ports import Receipt


@dataclass(frozen=True, slots=True)
class NoticeRule:
    """Which verdicts a notifier hears of; ``only_new`` drops those that say nothing new of their deployment."""

    instance: str
    outcomes: frozenset[Outcome] = frozenset(Outcome)
    only_new: bool = True

    def wants(self, verdict: Verdict) -> bool:
        """Whether this verdict is to be told."""
        if verdict.outcome not in self.outcomes:
            return False
        return not self.only_new or verdict.previous is not verdict.outcome or bool(verdict.new_findings)


@dataclass(frozen=True, slots=True)
class PolicyRef:
    """A policy of a chain; ``key`` finds its object, ``judges_gaps`` says that it decides what gaps mean."""

    key: str
    name: str
    judges_gaps: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A chain, as it applies to one deployment.

    ``scanners`` all start at once; with ``require`` ``any`` one finished report is enough to judge without a gap.
    ``fallback`` scanners start one after another, each when the one before it failed. Those of ``also`` must answer
    whatever ``require`` says, and never stand in for another. ``trust`` names those whose severity counts before
    that of others.
    """

    chain: str
    why: tuple[str, ...]
    scanners: tuple[str, ...]
    require: Literal["all", "any"] = "all"
    fallback: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    freshness: timedelta = timedelta(hours=24)
    deadline: timedelta = timedelta(minutes=45)
    policies: tuple[PolicyRef, ...] = ()
    sinks: tuple[str, ...] = ()
    notifiers: tuple[NoticeRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Limited:
    """Requests that are counted together, under a ``name``, and how many there may be.

    ``requests_per_scan`` is how many follow a submit, itself included.
    """

    name: str
    rates: tuple[Rate, ...] = ()
    requests_per_scan: int = 1


@dataclass(frozen=True, slots=True)
class HostedScanner:
    """A scanner instance; ``open`` builds the object when it is first asked, and may raise ScanguardError.

    ``rates`` limit its requests, all workers together.
    """

    instance: str
    spec: ScannerSpec
    fingerprint: str
    open: Callable[[], Scanner]
    rates: tuple[Rate, ...] = ()

    @property
    def base(self) -> str:
        """The instance without the profile: they are one service with one quota."""
        return base_of(self.instance)

    @property
    def limited(self) -> Limited:
        """Its requests."""
        return Limited(self.base, self.rates, self.spec.requests_per_scan)


@dataclass(frozen=True, slots=True)
class Hosted:
    """A sink or notifier instance, how to give it a notice, and the seconds that may take."""

    instance: str
    deliver: Callable[[Notice], Coroutine[Any, Any, Receipt]]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class HostedSweep:
    """A periodic job of an instance; ``open`` builds the object when it is first needed, and may raise ScanguardError.

    ``every`` is None when the instance's configuration switches the job off.
    """

    instance: str
    spec: SweepSpec
    every: timedelta | None
    open: Callable[[], Sweep]
    limited: Limited

    def lists(self, resource_id: str) -> bool:
        """Whether this job would list a deployment if it were there. Raises PluginContractError."""
        if not self.spec.lists_all or self.spec.owns is None:
            return False
        try:
            return bool(self.spec.owns(resource_id))
        except Exception as exc:
            raise PluginContractError(f"owns raised {type(exc).__name__}", plugin=self.instance) from exc


@dataclass(frozen=True, slots=True)
class HostedPlatform:
    """A platform instance that owns a resource; ``limited`` is the bucket that requests about the resource count in."""

    instance: str
    spec: PlatformSpec
    open: Callable[[], DeploymentPlatform]
    limited: Limited


@dataclass(frozen=True, slots=True)
class HostedPolicy:
    """A policy of a chain."""

    name: str
    policy: Policy
    timeout_s: float


class Host(Protocol):
    """Builds plugin objects from the configuration, once, when they are first needed.

    Every method raises ConfigError, SecretError or PluginError when the object cannot be had.
    """

    def plan(self, deployment: Deployment) -> Plan:
        """The chain that applies."""

    def scanner(self, instance: str) -> HostedScanner:
        """A scanner instance."""

    def sink(self, instance: str) -> Hosted:
        """A sink instance."""

    def notifier(self, instance: str) -> Hosted:
        """A notifier instance."""

    def policy(self, ref: PolicyRef) -> HostedPolicy:
        """A policy."""

    def sweeps(self) -> Sequence[str]:
        """The instances that have a periodic job."""

    def sweep(self, instance: str) -> HostedSweep:
        """The periodic job of an instance."""

    def ignores(self, event: Event) -> str:
        """Why nothing is done about an event; empty when something is."""

    def platforms(self, resource_id: str) -> Sequence[HostedPlatform]:
        """The configured platforms that own a resource, in the order in which they are asked."""

    async def resolve(self, name: str, platform: Platform | None) -> ResolvedImage:
        """Resolve an image name to what would run."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of the work, for people who watch.

    ``phase``: resolving, scanning, waiting, judging, delivering, done or failed. ``ended`` is set on the step that
    ended a scan, made a verdict (``detail`` is its outcome) or tried a delivery: each is to be counted once; and,
    though nothing ends there, on the step that starts a scan. ``about`` is what that scan, verdict or delivery is.
    ``seconds`` is how long a scan took, or a deployment's first verdict.
    """

    assessment: str
    image: str
    instance: str
    phase: str
    detail: str = ""
    ended: Literal["", "start", "scan", "verdict", "delivery"] = ""
    seconds: float | None = None
    about: ScanTask | Verdict | OutboxItem | None = None


Observer = Callable[[Progress], None]
