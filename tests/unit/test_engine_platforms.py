"""Platforms are asked within their quotas; throttling costs nothing, a refusal is seen."""

from __future__ import annotations

from datetime import datetime, timedelta

from scanguard.engine.dead import DeadKind
from scanguard.engine.documents import AssessmentState
from scanguard.errors import PlatformForbiddenError, PlatformThrottledError, PluginContractError
from scanguard.model.deployment import Deployment
from scanguard.model.rate import Rate
from scanguard.model.verdict import Outcome
from scanguard.ports import Lane
from scanguard.testing.rig import Rig


async def announced(rig: Rig, count: int, *, lane: Lane = Lane.FRESH) -> list[str]:
    names = []
    for number in range(count):
        rig.deploy(f"/{lane}/{number}", "clean:1")
        names.append(await rig.announce(f"/{lane}/{number}", lane=lane))
    return names


async def turns(rig: Rig) -> list[datetime]:
    """Handle all that is visible; when each of those who have to wait may ask."""
    while await rig.work_once():
        pass
    return [one.not_before for one in rig.assessments().values() if one.not_before is not None]


async def test_a_platform_is_asked_no_faster_than_its_quota_and_no_attempt_is_used() -> None:
    rig = Rig()
    rig.platform_rates = (Rate.parse("5/m"),)
    names = await announced(rig, 30)
    await rig.run(minutes=20)

    times = sorted(at for _, at in rig.described)
    assert len(times) == 30, "each deployment is asked after once"
    assert all(later - earlier >= timedelta(minutes=1) for earlier, later in zip(times, times[5:], strict=False))
    assert times[-1] - times[0] < timedelta(minutes=8)
    assert {rig.verdict(name).outcome for name in names} == {Outcome.PASS}
    assert {one.attempts for one in rig.assessments().values()} == {0}


async def test_a_message_that_is_a_little_late_for_its_turn_is_not_sent_a_second_time() -> None:
    rig = Rig()
    rig.platform_rates = (Rate.parse("5/m"),)
    await announced(rig, 12)
    waiting = await turns(rig)
    messages = len(rig.memory.queue.items)
    assert messages == len(waiting) > 0
    rig.memory.clock.moment = min(waiting) + timedelta(seconds=30)  # as where there is more work than workers
    await rig.sweep()
    assert len(rig.memory.queue.items) == messages


async def test_a_turn_holds_for_a_message_that_comes_some_seconds_late() -> None:
    rig = Rig()
    rig.platform_rates = (Rate.parse("1/5s"),)
    await announced(rig, 3)
    first = min(await turns(rig))
    assert len(rig.described) == 1
    rig.memory.clock.moment = first + timedelta(seconds=4)
    while await rig.work_once():
        pass
    assert len(rig.described) == 2, "its turn was four seconds ago, and nobody else's since"


async def test_with_more_messages_than_workers_can_handle_in_time_no_turn_is_lost() -> None:
    """Most messages are late for their turns then; had they to stand behind all others, hardly any would be in time."""
    rig = Rig()
    rig.platform_rates = (Rate.parse("60/m"),)
    await announced(rig, 400)
    clock = rig.memory.clock
    start = clock.now()
    steps = 0
    while len(rig.described) < 400:
        clock.moment += timedelta(seconds=1)  # what each message takes
        steps += 1
        assert steps < 1_800, "each deployment has four messages, or five when its turn has to wait again"
        if not await rig.work_once():
            await rig.sweep()
    times = sorted(at for _, at in rig.described)
    assert all(later - earlier >= timedelta(minutes=1) for earlier, later in zip(times, times[60:], strict=False))
    assert clock.now() - start < timedelta(minutes=30)


async def test_turns_of_a_time_in_which_the_platform_wants_to_be_left_alone_come_right_after_it() -> None:
    rig = Rig()
    rig.platform_rates = (Rate.parse("10/m"),)
    await announced(rig, 100)
    clock = rig.memory.clock
    clock.moment = second = min(await turns(rig))
    rig.describe_faults.append(PlatformThrottledError("slow down", retry_after_s=30))
    already = len(rig.described)
    await rig.run(minutes=1.2)
    times = sorted(at for _, at in rig.described)[already:]
    assert times[0] == second, "the one who was told to slow down"
    assert times[1] >= second + timedelta(seconds=30)
    assert len([at for at in times[1:] if at < second + timedelta(seconds=40)]) >= 9, "they do not stand behind all"


async def test_fresh_deployments_are_asked_after_before_the_bulk() -> None:
    rig = Rig()
    rig.platform_rates = (Rate.parse("5/m"),)
    await announced(rig, 40, lane=Lane.BULK)
    await rig.run(minutes=1)
    before = rig.memory.clock.now()
    fresh = await announced(rig, 5)
    await rig.run(minutes=60)

    assert max(rig.verdict(name).decided_at for name in fresh) - before <= timedelta(minutes=3)
    assert len(rig.described) == 45


async def test_a_platform_that_says_slow_down_is_left_alone_by_everybody_and_no_attempt_is_used() -> None:
    rig = Rig()
    rig.deploy("/a", "clean:1")
    rig.deploy("/b", "clean:1")
    start = rig.memory.clock.now()
    rig.describe_faults.append(PlatformThrottledError("slow down", retry_after_s=120))
    first = await rig.announce("/a")
    await rig.work_once()
    rig.restart()
    second = await rig.announce("/b")
    await rig.run(minutes=30)

    later = [at for _, at in rig.described[1:]]
    assert min(later) - start >= timedelta(seconds=120)
    assert {rig.verdict(name).outcome for name in (first, second)} == {Outcome.PASS}


async def test_throttling_for_hours_gives_nothing_up() -> None:
    rig = Rig()
    rig.deploy("/a", "clean:1")
    rig.describe_faults += [PlatformThrottledError("slow down", retry_after_s=60)] * 100
    name = await rig.announce("/a")
    await rig.run(minutes=600)
    assert rig.verdict(name).outcome is Outcome.PASS


async def test_a_deployment_that_may_not_be_read_is_unknown_says_why_and_can_be_replayed() -> None:
    rig = Rig()
    rig.deploy("/a", "clean:1")
    rig.describe_faults.append(PlatformForbiddenError("403: grant Reader to scanguard"))
    name = await rig.announce("/a")
    await rig.run(minutes=30)

    verdict = rig.verdict(name)
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.reasons[0].message == "the deployment may not be read: 403: grant Reader to scanguard"
    assert (verdict.deployment.name, verdict.deployment.kind) == ("a", "unknown")
    assert [told.outcome for told in rig.notifier.got.values()] == [Outcome.UNKNOWN]
    assert rig.assessments()[name].state is AssessmentState.DEAD
    [letter], _ = await rig.engine.context.dead.page(DeadKind.ASSESSMENT)
    assert (letter.error_kind, letter.error) == ("PlatformForbiddenError", "403: grant Reader to scanguard")

    await rig.memory.queue.send(await rig.engine.context.dead.replay(letter))
    await rig.run(minutes=30)
    assert (rig.verdict(name).outcome, rig.verdict(name).revision) == (Outcome.PASS, 2)
    assert rig.assessments()[name].state is AssessmentState.DONE
    assert await rig.engine.context.dead.page(DeadKind.ASSESSMENT) == ([], "")


async def test_what_was_known_of_a_deployment_before_it_could_not_be_read_chooses_its_chain() -> None:
    rig = Rig()
    rig.deploy("/a", "clean:1")
    rig.deployments["/a"] = rig.deployments["/a"].model_copy(update={"subscription": "s1", "tags": {"k": "v"}})
    await rig.announce("/a")
    await rig.run(minutes=30)
    rig.describe_faults.append(PlatformForbiddenError("no role"))
    name = await rig.announce("/a", event_id="second")
    await rig.run(minutes=30)

    deployment = rig.verdict(name).deployment
    assert (deployment.subscription, deployment.tags, deployment.containers) == ("s1", {"k": "v"}, ())
    assert rig.verdict(name).outcome is Outcome.UNKNOWN


async def test_a_platform_says_what_an_id_alone_tells() -> None:
    rig = Rig()
    rig.outline = lambda resource: Deployment(
        resource_id=resource,
        kind="container_app",
        name="web",
        subscription="s2",
        containers=(),
        seen_at=rig.memory.clock.now(),
    )
    rig.describe_faults.append(PlatformForbiddenError("no role"))
    name = await rig.announce("/a")
    await rig.run(minutes=30)
    assert (rig.verdict(name).deployment.subscription, rig.verdict(name).deployment.name) == ("s2", "web")


async def test_a_broken_outline_is_named() -> None:
    rig = Rig()

    def broken(resource: str) -> Deployment:
        raise ValueError(resource)

    rig.outline = broken
    rig.describe_faults.append(PlatformForbiddenError("no role"))
    name = await rig.announce("/a")
    await rig.run(minutes=30)
    assert rig.assessments()[name].error_kind == PluginContractError.__name__
