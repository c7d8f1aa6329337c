"""The engine on a bench: a backend in memory, a clock by hand, and plugins that follow a script.

The rig drives the engine exactly as a worker does (receive, handle, send, acknowledge) but one message at a
time and without waiting, so a test can kill it between any two port calls and start it again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import JsonValue

from scanguard.engine.documents import Assessment, OutboxItem, assessment_id
from scanguard.engine.driver import advance, advance_far
from scanguard.engine.engine import Engine
from scanguard.engine.limits import EngineLimits
from scanguard.engine.messages import sweep_message
from scanguard.engine.plan import NoticeRule, Plan, PolicyRef
from scanguard.errors import BackendError, ScanError, ScanguardError
from scanguard.hooks import Notice, ScanRequest, Ticket
from scanguard.model.deployment import Container, Deployment, Event
from scanguard.model.finding import Finding, Package
from scanguard.model.image import Platform
from scanguard.model.rate import Rate
from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport
from scanguard.model.severity import Severity
from scanguard.model.verdict import Verdict
from scanguard.ports import ALL_LANES, Delivery, Lane, Message, MessageKind, Outgoing, Receipt
from scanguard.testing.memory import Crash, MemoryBackend
from scanguard.testing.rig_host import RigHost, RigSweep

VISIBILITY_S = 60.0


@dataclass
class RigScanner:
    """A scanner that answers from a script and remembers what it was asked.

    ``wait_s`` makes it a submit-and-poll scanner; ``faults`` are raised, one a call, before it answers.
    """

    rig: Rig
    instance: str
    findings: tuple[str, ...] = ()
    wait_s: float = 0.0
    can_find: bool = True
    faults: list[ScanguardError] = field(default_factory=list)
    ticket_faults: list[ScanError | Ticket] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    """How many tickets each ``poll_many`` asked after."""
    submitted: list[str] = field(default_factory=list)
    calls: list[tuple[str, datetime]] = field(default_factory=list)
    """Every request it got, and when."""
    tickets: dict[str, tuple[str, Platform]] = field(default_factory=dict)
    coverage: CoverageStatus = CoverageStatus.COVERED
    started: asyncio.Event = field(default_factory=asyncio.Event)
    hang: asyncio.Event | None = None
    """When given, ``submit`` waits for it."""
    stages: list[int | None] = field(default_factory=list)
    """What the tickets of a scan say of the requests of their poll, one after another; then comes the report."""

    async def submit(self, request: ScanRequest) -> ScanReport | Ticket:
        """Start a scan."""
        self._called("submit")
        self.started.set()
        if self.hang is not None:
            await self.hang.wait()
        self.submitted.append(request.key)
        self.tickets[request.key] = (request.image.digest, request.image.platform)
        if not self.wait_s and not self.stages:
            return self.report(request.image.digest, request.image.platform)
        return self._ticket(request.key)

    async def poll(self, ticket: Ticket) -> ScanReport | Ticket:
        """Ask after a scan."""
        self._called("poll" if ticket.requests is None else f"poll-{ticket.requests}")
        return self._following(ticket)

    async def poll_many(self, tickets: Sequence[Ticket]) -> Sequence[ScanReport | Ticket | ScanError]:
        """Ask after many scans with one request; each of ``ticket_faults`` is the answer to one ticket."""
        self._called("poll_many")
        self.asked.append(len(tickets))
        return [self.ticket_faults.pop(0) if self.ticket_faults else self._following(ticket) for ticket in tickets]

    async def find(self, request: ScanRequest) -> Ticket | None:
        """Look for a scan that may have been submitted."""
        self.calls.append(("find", self.rig.memory.clock.now()))
        return self._ticket(request.key) if self.can_find and request.key in self.tickets else None

    async def info(self) -> ScannerInfo:
        """Which tool this is."""
        return ScannerInfo(tool="rig", version="1")

    async def aclose(self) -> None:
        """Nothing to close."""

    def report(self, digest: str, platform: Platform) -> ScanReport:
        """What this scanner finds in any image."""
        now = self.rig.memory.clock.now()
        return ScanReport(
            digest=digest,
            platform=platform,
            scanner=ScannerInfo(tool="rig", version="1"),
            started_at=now,
            finished_at=now,
            findings=tuple(_finding(name) for name in self.findings),
            coverage=Coverage(items=(CoverageItem(subject="everything", status=self.coverage),)),
        )

    def _following(self, ticket: Ticket) -> ScanReport | Ticket:
        key, stage = str(ticket.value["key"]), ticket.value.get("stage", 0)
        if isinstance(stage, int) and stage + 1 < len(self.stages):
            return self._ticket(key, stage + 1)
        return self.report(*self.tickets[key])

    def _ticket(self, key: str, stage: int = 0) -> Ticket:
        value: dict[str, JsonValue] = {"key": key, "stage": stage}
        not_before = self.rig.memory.clock.now() + timedelta(seconds=self.wait_s)
        return Ticket(value, not_before, self.stages[stage] if self.stages else None)

    def _called(self, what: str) -> None:
        self.calls.append((what, self.rig.memory.clock.now()))
        if self.faults:
            raise self.faults.pop(0)


@dataclass
class RigDestination:
    """A sink or notifier that remembers what it got, by key; ``faults`` are raised, one a call, first."""

    got: dict[str, Verdict] = field(default_factory=dict)
    deliveries: list[str] = field(default_factory=list)
    faults: list[ScanguardError] = field(default_factory=list)
    rig: Rig = field(kw_only=True)

    async def write(self, notice: Notice) -> Receipt:
        """Take a notice."""
        if self.faults:
            raise self.faults.pop(0)
        self.got[notice.key] = notice.verdict
        self.deliveries.append(notice.key)
        return Receipt("rig", notice.key, self.rig.memory.clock.now())


class Rig:
    """One engine, restartable, and everything around it."""

    def __init__(
        self,
        *,
        limits: EngineLimits | None = None,
        scanners: Sequence[str] = ("one",),
        memory: MemoryBackend | None = None,
    ) -> None:
        self.memory = memory or MemoryBackend()
        self.limits = limits or EngineLimits(chance=random.Random(0))  # noqa: S311  # jitter, not a secret
        self.scanners = {name: RigScanner(self, name) for name in scanners}
        self.sink = RigDestination(rig=self)
        self.notifier = RigDestination(rig=self)
        self.deployments: dict[str, Deployment] = {}
        self.resolve_faults: list[ScanguardError] = []
        self.describe_faults: list[ScanguardError] = []
        self.missing_images, self.retagged = set[str](), dict[str, str]()
        self.scan_timeout_s = 1800.0
        self.poll_many = 0
        self.goes_far = False
        self.knows_all = False
        self.outline: Callable[[str], Deployment] | None = None
        self.platform_rates: tuple[Rate, ...] = ()
        self.described: list[tuple[str, datetime]] = []
        """What the platform was asked, and when."""
        self.sweeps: dict[str, RigSweep] = {}
        self.ignored: dict[str, str] = {}
        self.rates: tuple[Rate, ...] = ()
        self.plan = Plan(
            chain="rig",
            why=("there is only one",),
            scanners=tuple(scanners),
            policies=(PolicyRef("rig", "rig", judges_gaps=True),),
            sinks=("sink",),
            notifiers=(NoticeRule("notifier"),),
        )
        self.crashes = 0
        self.engine = self.restart()

    def restart(self) -> Engine:
        """A new process on the same backend."""
        self.engine = Engine(self.memory.backend(), RigHost(self), limits=self.limits)
        return self.engine

    # --- what users do ----------------------------------------------------------------------------------

    def deploy(self, resource: str, *images: str) -> None:
        """The platform runs these images from now on."""
        self.deployments[resource.lower()] = Deployment(
            resource_id=resource,
            kind="container_group",
            name=resource,
            containers=tuple(Container(name=f"c{number}", image=image) for number, image in enumerate(images)),
            seen_at=self.memory.clock.now(),
        )

    def vanish(self, resource: str) -> None:
        """The platform runs it no more."""
        del self.deployments[resource.lower()]

    async def announce(
        self,
        resource: str,
        *,
        event_id: str | None = None,
        force: bool = False,
        lane: Lane = Lane.FRESH,
        operation: str = "",
    ) -> str:
        """An event about a resource is accepted; returns the assessment's id."""
        event = Event(
            id=event_id or f"{resource}-{self.memory.clock.now().timestamp()}",
            source="rig",
            type="write",
            operation=operation,
            resource_id=resource,
            time=self.memory.clock.now(),
        )
        body: dict[str, Any] = {"event": event.model_dump(mode="json"), "force": force}
        message = Message(kind=MessageKind.INTAKE, id=assessment_id(event), lane=lane, body=body)
        await self.memory.queue.send([Outgoing(message)])
        return message.id

    async def run(self, *, minutes: float = 240.0) -> None:
        """Work, letting time pass when nothing is visible, until nothing is left to do (or the minutes are over)."""
        clock = self.memory.clock
        end = clock.now() + timedelta(minutes=minutes)
        while clock.now() < end:
            if await self.work_once():
                continue
            following = self._next_moment()
            if following is None:
                return
            clock.moment = min(end, max(clock.now() + timedelta(seconds=1), following))
            await self.sweep()

    def _next_moment(self) -> datetime | None:
        """When something can happen next."""
        visible = [item.visible_at for item in self.memory.queue.items]
        due = [row.due for row in self.memory.state.rows.values() if row.due is not None]
        return min((*visible, *due), default=None)

    async def work_once(self, at_once: int = 1) -> bool:
        """Receive, handle, send, acknowledge; False when nothing is visible. A crash is a restart."""
        try:
            taken = await self.memory.queue.receive(ALL_LANES, limit=at_once, visibility_s=VISIBILITY_S)
        except Crash:
            self._crashed()
            return True
        tasks = [asyncio.ensure_future(self._process(delivery)) for delivery in taken]
        try:
            await asyncio.gather(*tasks)
        except Crash:
            for task in tasks:  # the whole process dies, and what the others were doing with it
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._crashed()
        return bool(taken)

    async def _process(self, delivery: Delivery) -> None:
        assert delivery.message is not None
        is_again = delivery.delivered > 1
        try:
            if self.goes_far and not is_again:
                await advance_far(self.engine, delivery.message)
            else:
                await advance(self.engine, delivery.message, again=is_again)
            await self.memory.queue.ack(delivery)
        except BackendError:
            await self.memory.queue.release(delivery, self.memory.clock.now() + timedelta(seconds=5))

    async def sweep(self) -> None:
        """What a worker does every few seconds."""
        try:
            await self.memory.queue.send(await self.engine.handle(sweep_message()))
        except Crash:
            self._crashed()

    def _crashed(self) -> None:
        self.crashes += 1
        self.restart()

    # --- what tests ask ---------------------------------------------------------------------------------

    def open_rows(self) -> list[tuple[str, str, str]]:
        """Rows that are not terminal."""
        return [address for address, row in self.memory.state.rows.items() if row.due is not None]

    def assessments(self) -> dict[str, Assessment]:
        """Every assessment."""
        rows = self.memory.state.rows.values()
        return {r.partition: Assessment.model_validate(r.body) for r in rows if r.table == Assessment.TABLE}

    def outbox(self) -> list[OutboxItem]:
        """Every outbox item."""
        return [
            OutboxItem.model_validate(row.body)
            for row in self.memory.state.rows.values()
            if row.table == OutboxItem.TABLE
        ]

    def verdict(self, assessment: str) -> Verdict:
        """The stored verdict."""
        return self.memory.records.verdicts[assessment]


def _finding(name: str) -> Finding:
    package = Package(purl="pkg:generic/thing@1", name="thing", version="1", ecosystem="generic")
    return Finding(id=name, package=package, severity=Severity.HIGH, severity_source="rig")
