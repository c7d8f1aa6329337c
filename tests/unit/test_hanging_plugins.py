"""A plugin that hangs, in whatever phase, costs its own time-out, is named, and keeps nobody else waiting."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from scanguard.app.dead_letters import DeadLetterDesk
from scanguard.engine.dead import DeadKind
from scanguard.engine.engine import Engine
from scanguard.engine.limits import EngineLimits
from scanguard.engine.plan import Hosted, HostedPolicy, HostedScanner, PolicyRef
from scanguard.errors import ScannerUnavailableError
from scanguard.model.verdict import Outcome
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigHost

PATIENCE_S = 0.03


class Impatient(RigHost):
    """Lends the rig's plugins for a moment at a time."""

    def scanner(self, instance: str) -> HostedScanner:
        hosted = super().scanner(instance)
        return replace(hosted, spec=replace(hosted.spec, step_timeout_s=PATIENCE_S))

    def sink(self, instance: str) -> Hosted:
        return replace(super().sink(instance), timeout_s=PATIENCE_S)

    def notifier(self, instance: str) -> Hosted:
        return replace(super().notifier(instance), timeout_s=PATIENCE_S)

    def policy(self, ref: PolicyRef) -> HostedPolicy:
        return replace(super().policy(ref), timeout_s=PATIENCE_S)


def impatient_rig() -> Rig:
    rig = Rig(limits=EngineLimits(attempts=2, delivery_attempts=2))
    rig.engine = Engine(rig.memory.backend(), Impatient(rig), limits=rig.limits)
    return rig


async def hang(*_: object) -> Any:
    await asyncio.Event().wait()


async def judged(rig: Rig) -> str:
    rig.deploy("/a", "app:1")
    name = await rig.announce("/a")
    await asyncio.wait_for(rig.run(), 20)
    return name


@pytest.mark.parametrize("phase", ["submit", "poll", "poll_many", "find"])
async def test_a_scanner_that_hangs_is_given_up_and_makes_unknown(phase: str) -> None:
    rig = impatient_rig()
    scanner = rig.scanners["one"]
    scanner.wait_s = 0 if phase in ("submit", "find") else 30
    rig.poll_many = 5 if phase == "poll_many" else 0
    if phase == "find":
        scanner.faults = [ScannerUnavailableError("no answer: it may have arrived")]
    setattr(scanner, phase, hang)

    verdict = rig.verdict(await judged(rig))

    assert verdict.outcome is Outcome.UNKNOWN
    (told,) = await DeadLetterDesk(rig.engine.context).all()
    assert (told.kind, told.instance, told.error_kind) == (DeadKind.SCAN, "one", "ScanTimeoutError")
    assert f"did not finish {phase} within" in told.error


@pytest.mark.parametrize("kind", ["sink", "notifier"])
async def test_a_destination_that_hangs_is_a_dead_letter_and_the_other_hears_of_the_verdict(kind: str) -> None:
    rig = impatient_rig()
    hanging, other = (rig.sink, rig.notifier) if kind == "sink" else (rig.notifier, rig.sink)
    hanging.write = hang  # type: ignore[assignment,method-assign]  # the fault

    name = await judged(rig)

    assert [verdict.id for verdict in other.got.values()] == [name]
    (letter,) = await DeadLetterDesk(rig.engine.context).all()
    assert (letter.kind, letter.instance, letter.attempts) == (DeadKind.DELIVERY, kind, 2)
    assert "did not finish" in letter.error


async def test_a_policy_that_hangs_makes_unknown_and_is_named() -> None:
    class Hanging(Impatient):
        def policy(self, ref: PolicyRef) -> HostedPolicy:
            hosted = super().policy(ref)
            hosted.policy.evaluate = hang  # type: ignore[assignment,method-assign]  # the fault
            return hosted

    rig = impatient_rig()
    rig.engine = Engine(rig.memory.backend(), Hanging(rig), limits=rig.limits)
    verdict = rig.verdict(await judged(rig))
    assert verdict.outcome is Outcome.UNKNOWN
    assert "did not finish evaluate within" in verdict.reasons[0].message
