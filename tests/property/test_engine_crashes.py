"""The engine dies at any port call, hears messages twice, and still keeps its promises."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scanguard.engine.documents import AssessmentState, Head, OutboxState
from scanguard.engine.limits import EngineLimits
from scanguard.errors import (
    NotifyError,
    RegistryUnavailableError,
    ScannerThrottledError,
    ScannerUnavailableError,
    SweepError,
)
from scanguard.model.rate import Rate
from scanguard.model.verdict import Outcome, ScannerStatus
from scanguard.ports import Lane, Outgoing
from scanguard.testing.memory import Crash
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigSweep

RESOURCES = ("/a", "/b", "/c")
IMAGES = ("clean:1", "bad:1", "bad:2")


class CrashingEngine(RuleBasedStateMachine):
    """Deploys, works, dies, goes on; at the end everything must be judged, recorded and delivered."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.rig = Rig(limits=EngineLimits(chance=random.Random(0), attempts=50, delivery_attempts=50))  # noqa: S311  # a seed
        self.rig.scanners["one"].findings = ("CVE-1",)
        self.rig.scan_timeout_s = timedelta(days=30).total_seconds()
        self.rig.plan = replace(self.rig.plan, deadline=timedelta(days=30))
        self.accepted: set[str] = set()
        self.number = 0

    def do(self, call: Coroutine[Any, Any, Any]) -> None:
        self.loop.run_until_complete(call)

    @rule(resource=st.sampled_from(RESOURCES), image=st.sampled_from(IMAGES), force=st.booleans())
    def deploy(self, resource: str, image: str, force: bool) -> None:
        self.number += 1
        self.rig.deploy(resource, image)

        async def announce() -> None:
            try:
                self.accepted.add(await self.rig.announce(resource, event_id=str(self.number), force=force))
            except Crash:
                self.rig.restart()  # never acknowledged: the source sends it again, or it was not accepted

        self.do(announce())

    @rule(times=st.integers(1, 5), at_once=st.integers(1, 4))
    def work(self, times: int, at_once: int) -> None:
        for _ in range(times):
            self.do(self.rig.work_once(at_once))

    @rule(calls=st.integers(0, 30), after=st.booleans())
    def die_soon(self, calls: int, after: bool) -> None:
        self.rig.memory.faults.countdown = calls
        self.rig.memory.faults.after = after

    @rule(seconds=st.integers(-60, 600))
    def time_passes(self, seconds: int) -> None:
        self.rig.memory.clock.advance(seconds)
        self.do(self.rig.sweep())

    @rule(wait=st.sampled_from([0.0, 30.0]), can_find=st.booleans())
    def scanner_changes(self, wait: float, can_find: bool) -> None:
        self.rig.scanners["one"].wait_s = wait
        self.rig.scanners["one"].can_find = can_find

    @rule(kind=st.sampled_from(["scanner", "registry", "notifier", "sink"]))
    def something_fails_once(self, kind: str) -> None:
        match kind:
            case "scanner":
                self.rig.scanners["one"].faults.append(ScannerUnavailableError("down"))
            case "registry":
                self.rig.resolve_faults.append(RegistryUnavailableError("down"))
            case "notifier":
                self.rig.notifier.faults.append(NotifyError("down"))
            case _:
                self.rig.sink.faults.append(NotifyError("down"))

    @precondition(lambda self: self.rig.memory.queue.items)
    @rule(data=st.data())
    def a_message_comes_twice(self, data: st.DataObject) -> None:
        items = self.rig.memory.queue.items
        message = items[data.draw(st.integers(0, len(items) - 1))].message
        self.rig.memory.faults.countdown = None
        self.do(self.rig.memory.queue.send([Outgoing(message)]))

    @precondition(lambda self: self.rig.memory.queue.items)
    @rule(data=st.data())
    def messages_are_reordered(self, data: st.DataObject) -> None:
        items = self.rig.memory.queue.items
        items.sort(key=lambda _: data.draw(st.integers(0, 3)))

    @invariant()
    def nothing_is_clean_that_nobody_looked_at(self) -> None:
        for verdict in self.rig.memory.records.verdicts.values():
            if verdict.outcome is Outcome.PASS:
                raise AssertionError("every image here has a finding")
            for image in verdict.images:
                done = [s for s in image.scanners if s.status is ScannerStatus.DONE]
                assert image.outcome is Outcome.UNKNOWN or done

    @invariant()
    def every_open_row_has_a_due_time(self) -> None:
        for row in self.rig.memory.state.rows.values():
            is_open = row.body.get("state") in {
                "new",
                "described",
                "waiting",
                "judged",
                "pending",
                "intent",
                "submitted",
            }
            assert not is_open or row.due is not None

    def teardown(self) -> None:
        self.rig.memory.faults.countdown = None
        self.do(self.rig.run(minutes=60 * 24 * 60))
        self.loop.close()
        assessments = self.rig.assessments()
        assert self.accepted <= set(assessments)
        assert all(one.state is AssessmentState.DONE for one in assessments.values())
        judged = {name for name, one in assessments.items() if one.closed_at is None}
        assert judged == set(self.rig.memory.records.verdicts)
        for verdict in self.rig.memory.records.verdicts.values():
            assert verdict.outcome is Outcome.FAIL
        assert all(item.state in {OutboxState.DONE, OutboxState.OVERTAKEN} for item in self.rig.outbox())
        stored = {v.id: v.revision for v in self.rig.memory.records.verdicts.values()}
        delivered = {v.id: v.revision for v in self.rig.sink.got.values()}
        assert stored == delivered, "each sink has the last revision of every verdict"


class CrashingInventory(CrashingEngine):
    """The same with deployments that vanish, told by an event or found by a job that lists all there is."""

    def __init__(self) -> None:
        super().__init__()
        self.rig.knows_all = True
        self.rig.sweeps["inventory"] = RigSweep(self.rig, owns=lambda _: True, every=timedelta(minutes=20))

    @precondition(lambda self: self.rig.deployments)
    @rule(data=st.data(), told=st.booleans())
    def vanish(self, data: st.DataObject, told: bool) -> None:
        resource = data.draw(st.sampled_from(sorted(self.rig.deployments)))
        self.rig.vanish(resource)
        self.number += 1

        async def announce() -> None:
            with suppress(Crash):
                self.accepted.add(await self.rig.announce(resource, event_id=str(self.number)))

        if told:
            self.do(announce())

    @rule()
    def the_inventory_fails_once(self) -> None:
        self.rig.sweeps["inventory"].faults.append(SweepError("down"))

    def teardown(self) -> None:
        self.rig.sweeps["inventory"].every = timedelta(days=15)
        self.rig.memory.faults.countdown = None
        self.do(self.rig.sweep())  # as workers do all the time; the first one makes the job's row
        super().teardown()
        there = set(self.rig.deployments)
        heads = [Head.model_validate(row.body) for row in self.rig.memory.state.rows.values() if row.table == "head"]
        assert {one.resource for one in heads if one.closed_at is None} <= there, "what is gone is closed"
        assert not {one.resource for one in heads if one.closed_at is not None} & self._seen_since(heads)

    def _seen_since(self, heads: list[Head]) -> set[str]:
        """Deployments that were seen after they had been closed."""
        closed = {one.resource: one.closed_at for one in heads if one.closed_at is not None}
        seen = [one.deployment for one in self.rig.memory.records.verdicts.values()]
        return {one.resource_id for one in seen if one.seen_at > closed.get(one.resource_id, one.seen_at)}


class CrashingCrowd(CrashingEngine):
    """The same with a scanner that has a quota, polls many scans at once, and can be asked what it knows.

    Time only goes on here, so that what the scanner was sent can be held against its quota.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rig.poll_many = 2
        self.rig.rates = (Rate.parse("6/m"), Rate.parse("60/h"))
        self.rig.scanners["one"].wait_s = 30.0

    @rule(seconds=st.integers(0, 600))
    def time_passes(self, seconds: int) -> None:
        self.rig.memory.clock.advance(seconds)
        self.do(self.rig.sweep())

    @rule(wait=st.sampled_from([0.0, 30.0]))
    def scanner_changes(self, wait: float) -> None:
        self.rig.scanners["one"].wait_s = wait

    @rule()
    def somebody_is_told_to_slow_down(self) -> None:
        self.rig.scanners["one"].faults.append(ScannerThrottledError("slow down", retry_after_s=90))

    @rule(resource=st.sampled_from(RESOURCES))
    def bulk(self, resource: str) -> None:
        self.number += 1
        self.rig.deploy(resource, "bad:3")

        async def announce() -> None:
            try:
                self.accepted.add(await self.rig.announce(resource, event_id=str(self.number), lane=Lane.BULK))
            except Crash:
                self.rig.restart()

        self.do(announce())

    def teardown(self) -> None:
        super().teardown()
        scanner = self.rig.scanners["one"]
        assert len(scanner.submitted) == len(set(scanner.submitted)), "what was submitted is found, not sent again"
        times = [at for _, at in scanner.calls]
        for rate in self.rig.rates:
            window = timedelta(seconds=rate.window_s)
            most = max((sum(start <= at < start + window for at in times) for start in times), default=0)
            assert most <= rate.requests, f"{most} requests within {rate}"


class CrashingHost(CrashingCrowd):
    """The same where a message's work goes on with what follows at once, as a function app's does."""

    def __init__(self) -> None:
        super().__init__()
        self.rig.goes_far = True


_SETTINGS = settings(max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
CrashingEngine.TestCase.settings = _SETTINGS
CrashingCrowd.TestCase.settings = settings(_SETTINGS, max_examples=40)
CrashingHost.TestCase.settings = settings(_SETTINGS, max_examples=40)
TestCrashingHost = CrashingHost.TestCase
TestCrashingEngine = CrashingEngine.TestCase
CrashingInventory.TestCase.settings = settings(_SETTINGS, max_examples=40)
TestCrashingCrowd = CrashingCrowd.TestCase
TestCrashingInventory = CrashingInventory.TestCase
