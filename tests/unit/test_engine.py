"""What the engine promises, without any crash (crashes: tests/property)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from scanguard.engine.documents import AssessmentState, OutboxState
from scanguard.engine.plan import NoticeRule, PolicyRef
from scanguard.errors import (
    NotifyError,
    PlatformError,
    RegistryThrottledError,
    RegistryUnavailableError,
    ScannerAuthError,
    ScannerThrottledError,
    ScannerUnavailableError,
)
from scanguard.model.rate import Rate
from scanguard.model.report import CoverageStatus
from scanguard.model.verdict import Outcome, ScannerStatus
from scanguard.ports import MessageKind, Outgoing, RecordQuery
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import digest_of


async def judged(rig: Rig, resource: str, *images: str, force: bool = False, minutes: float = 240) -> str:
    rig.deploy(resource, *images)
    name = await rig.announce(resource, force=force)
    await rig.run(minutes=minutes)
    return name


async def test_an_event_ends_in_a_stored_verdict_a_sink_write_and_a_notice() -> None:
    rig = Rig()
    rig.scanners["one"].findings = ("CVE-1",)

    name = await judged(rig, "/a", "app:1")

    verdict = rig.verdict(name)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons[0].findings == ("CVE-1",)
    assert verdict.chain.name == "rig"
    assert verdict.images[0].scanners[0].status is ScannerStatus.DONE
    assert rig.assessments()[name].state is AssessmentState.DONE
    assert [v.id for v in rig.sink.got.values()] == [name]
    assert [v.id for v in rig.notifier.got.values()] == [name]


async def test_a_second_deployment_of_a_fresh_image_is_judged_recorded_and_told_without_a_second_scan() -> None:
    rig = Rig()
    first = await judged(rig, "/a", "app:1")
    rig.memory.clock.advance(60)
    second = await judged(rig, "/b", "app:1")

    assert len(rig.scanners["one"].submitted) == 1
    assert rig.verdict(first).outcome is rig.verdict(second).outcome is Outcome.PASS
    assert rig.verdict(second).images[0].scanners[0].reused
    assert {v.id for v in rig.sink.got.values()} == {first, second}
    assert {v.id for v in rig.notifier.got.values()} == {first, second}


async def test_a_hundred_deployments_of_one_image_at_once_make_one_scan() -> None:
    rig = Rig()
    rig.scanners["one"].wait_s = 120
    for number in range(120):
        rig.deploy(f"/d{number}", "app:1")
        await rig.announce(f"/d{number}")
    await rig.run()

    assert len(rig.scanners["one"].submitted) == 1
    assert len(rig.memory.records.verdicts) == 120
    taken = max(v.decided_at for v in rig.memory.records.verdicts.values()) - rig.deployments["/d0"].seen_at
    assert taken < timedelta(minutes=4), "the end of a scan wakes everybody; nobody waits for a deadline"
    assert all(v.outcome is Outcome.PASS for v in rig.memory.records.verdicts.values())


async def test_messages_grow_with_the_deployments_and_not_with_how_many_share_an_image() -> None:
    rig = Rig()
    kinds: list[MessageKind] = []
    send = rig.memory.queue.send

    async def counted(messages: Sequence[Outgoing]) -> None:
        kinds.extend(out.message.kind for out in messages)
        await send(messages)

    rig.memory.queue.send = counted  # type: ignore[method-assign]  # counts what goes through
    for number in range(150):
        rig.deploy(f"/d/{number}", "app:1")
        await rig.announce(f"/d/{number}")
    await rig.run()

    assert kinds.count(MessageKind.SCAN) <= 3
    assert kinds.count(MessageKind.ASSESS) <= 150
    assert len(rig.sink.got) == 150


async def test_a_stale_result_is_scanned_again_and_force_scans_again_at_once() -> None:
    rig = Rig()
    await judged(rig, "/a", "app:1")
    rig.memory.clock.advance(25 * 3600)
    await judged(rig, "/a", "app:1")
    assert len(rig.scanners["one"].submitted) == 2

    rig.memory.clock.advance(60)
    await judged(rig, "/a", "app:1", force=True)
    assert len(rig.scanners["one"].submitted) == 3


async def test_the_same_event_delivered_twice_is_one_assessment() -> None:
    rig = Rig()
    rig.deploy("/a", "app:1")
    first = await rig.announce("/a", event_id="e1")
    second = await rig.announce("/a", event_id="e1")
    await rig.run()

    assert first == second
    assert len(rig.memory.records.verdicts) == 1
    assert len(rig.notifier.deliveries) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(ScannerAuthError("no"), id="refused credentials"),
        pytest.param(ValueError("a bug"), id="a plugin that raises something else"),
    ],
)
async def test_a_scanner_that_fails_makes_unknown_and_says_why(fault: Exception) -> None:
    rig = Rig()
    rig.scanners["one"].faults = [fault]  # type: ignore[list-item]  # a broken plugin raises anything

    verdict = rig.verdict(await judged(rig, "/a", "app:1"))

    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.images[0].scanners[0].status is ScannerStatus.FAILED
    assert verdict.images[0].scanners[0].error_kind in {"ScannerAuthError", "PluginContractError"}
    assert any("one failed" in reason.message for reason in verdict.reasons)


async def test_a_scanner_that_recovers_within_its_attempts_makes_a_verdict() -> None:
    rig = Rig()
    rig.scanners["one"].faults = [ScannerUnavailableError("down")] * 3
    assert rig.verdict(await judged(rig, "/a", "app:1")).outcome is Outcome.PASS


async def test_throttling_uses_up_no_attempts() -> None:
    rig = Rig()
    rig.scanners["one"].faults = [ScannerThrottledError("slow down", retry_after_s=60)] * 10
    assert rig.verdict(await judged(rig, "/a", "app:1")).outcome is Outcome.PASS


async def test_a_scan_that_misses_the_deadline_is_unknown_and_judged_again_when_it_comes_late() -> None:
    rig = Rig()
    scanner = rig.scanners["one"]
    scanner.findings = ("CVE-1",)
    scanner.wait_s = 20 * 60
    rig.plan = replace(rig.plan, deadline=timedelta(minutes=5))
    rig.deploy("/a", "app:1")
    name = await rig.announce("/a")

    await rig.run(minutes=10)
    assert rig.verdict(name).outcome is Outcome.UNKNOWN
    assert rig.verdict(name).images[0].scanners[0].status is ScannerStatus.PENDING

    await rig.run()
    late = rig.verdict(name)
    assert late.outcome is Outcome.FAIL
    assert late.revision > 1
    assert late.previous is Outcome.UNKNOWN
    assert len(rig.notifier.deliveries) == 2


async def test_an_image_that_does_not_exist_is_unknown_and_the_other_container_is_still_judged() -> None:
    rig = Rig()
    rig.missing_images = {"gone:1"}
    rig.scanners["one"].findings = ("CVE-1",)

    verdict = rig.verdict(await judged(rig, "/a", "gone:1", "app:1"))

    assert [image.outcome for image in verdict.images] == [Outcome.UNKNOWN, Outcome.FAIL]
    assert verdict.images[0].error_kind == "ImageNotFoundError"
    assert verdict.outcome is Outcome.FAIL


async def test_a_registry_that_is_down_for_a_while_delays_and_one_that_stays_down_is_unknown() -> None:
    rig = Rig()
    rig.resolve_faults = [RegistryUnavailableError("down"), RegistryThrottledError("slow", retry_after_s=5)] * 2
    assert rig.verdict(await judged(rig, "/a", "app:1")).outcome is Outcome.PASS

    rig.resolve_faults = [RegistryUnavailableError("down")] * 100
    verdict = rig.verdict(await judged(rig, "/b", "other:1"))
    assert verdict.outcome is Outcome.UNKNOWN
    assert verdict.images[0].error_kind == "RegistryUnavailableError"


async def test_a_resource_no_platform_knows_is_a_visible_dead_letter() -> None:
    rig = Rig()
    name = await rig.announce("/nowhere")
    await rig.run()
    dead = rig.assessments()[name]
    assert dead.state is AssessmentState.DEAD
    assert "no configured platform knows /nowhere" in dead.error


async def test_the_same_event_again_replays_what_was_given_up() -> None:
    rig = Rig()
    name = await rig.announce("/late", event_id="e1")
    await rig.run()
    assert rig.assessments()[name].state is AssessmentState.DEAD

    rig.deploy("/late", "app:1")
    assert await rig.announce("/late", event_id="e1") == name
    await rig.run()
    assert rig.verdict(name).outcome is Outcome.PASS
    assert rig.assessments()[name].error == ""


async def test_a_platform_that_stays_down_is_a_dead_letter_after_its_attempts() -> None:
    rig = Rig()
    rig.deploy("/a", "app:1")
    rig.describe_faults = [PlatformError("down")] * 5
    name = await rig.announce("/a")
    await rig.run()
    assert rig.assessments()[name].state is AssessmentState.DEAD
    assert rig.describe_faults == []


@pytest.mark.parametrize(
    "policies",
    [
        pytest.param((), id="no policy at all"),
        pytest.param((PolicyRef("always-pass", "always-pass"),), id="a policy that knows nothing of gaps"),
    ],
)
async def test_gaps_in_coverage_are_unknown_unless_a_policy_judges_them(policies: tuple[PolicyRef, ...]) -> None:
    rig = Rig()
    rig.plan = replace(rig.plan, policies=policies)
    rig.scanners["one"].coverage = CoverageStatus.PARTIAL
    assert rig.verdict(await judged(rig, "/a", "app:1")).outcome is Outcome.UNKNOWN


async def test_require_any_is_served_by_one_scanner_and_require_all_is_not() -> None:
    for require, expected in (("any", Outcome.PASS), ("all", Outcome.UNKNOWN)):
        rig = Rig(scanners=("one", "two"))
        rig.plan = replace(rig.plan, require=require)  # type: ignore[arg-type]  # both are legal
        rig.scanners["two"].faults = [ScannerAuthError("no")]
        assert rig.verdict(await judged(rig, "/a", "app:1")).outcome is expected


async def test_a_fallback_starts_when_the_scanner_before_it_failed_and_only_then() -> None:
    rig = Rig(scanners=("one", "two"))
    rig.plan = replace(rig.plan, scanners=(), fallback=("one", "two"))
    assert rig.verdict(await judged(rig, "/a", "app:1")).outcome is Outcome.PASS
    assert rig.scanners["two"].submitted == []

    rig.scanners["one"].faults = [ScannerAuthError("no")]
    verdict = rig.verdict(await judged(rig, "/b", "app:2"))
    assert verdict.outcome is Outcome.PASS
    assert [(s.instance, s.status.value, s.needed) for s in verdict.images[0].scanners] == [
        ("one", "failed", False),
        ("two", "done", True),
    ]


async def test_a_fallback_starts_too_when_the_quota_is_used_up_until_after_the_deadline() -> None:
    rig = Rig(scanners=("one", "two"))
    rig.plan = replace(rig.plan, scanners=(), fallback=("one", "two"))
    rig.rates = (Rate.parse("1/h"),)  # of each
    first = await judged(rig, "/a", "app:1", minutes=5)
    second = await judged(rig, "/b", "app:2", minutes=5)

    assert rig.verdict(first).outcome is rig.verdict(second).outcome is Outcome.PASS
    assert [(s.instance, s.status.value, s.needed) for s in rig.verdict(second).images[0].scanners] == [
        ("one", "pending", False),
        ("two", "done", True),
    ]
    await rig.run()
    assert [s.status.value for s in rig.verdict(second).images[0].scanners] == ["done", "done"], "late, and kept"
    assert rig.open_rows() == []


async def test_a_fallback_starts_too_when_the_service_wants_to_be_left_alone_until_after_the_deadline() -> None:
    rig = Rig(scanners=("one", "two"))
    rig.plan = replace(rig.plan, scanners=(), fallback=("one", "two"))
    rig.scanners["one"].faults = [ScannerThrottledError("later", retry_after_s=7200)]
    name = await judged(rig, "/a", "app:1", minutes=5)
    assert rig.verdict(name).outcome is Outcome.PASS
    assert rig.scanners["two"].submitted


async def test_one_stuck_destination_does_not_delay_another_and_is_retried() -> None:
    rig = Rig()
    rig.notifier.faults = [NotifyError("down")] * 3
    name = await judged(rig, "/a", "app:1")
    assert len(rig.sink.deliveries) == 1
    assert len(rig.notifier.deliveries) == 1

    rig.notifier.faults = [NotifyError("down")] * 100
    name = await judged(rig, "/b", "app:1")
    states = {item.kind: item.state for item in rig.outbox() if item.assessment == name}
    assert states == {"sink": OutboxState.DONE, "notifier": OutboxState.DEAD}


async def test_people_hear_only_what_is_new_about_a_deployment() -> None:
    rig = Rig()
    rig.scanners["one"].findings = ("CVE-1",)
    await judged(rig, "/a", "app:1")
    rig.memory.clock.advance(60)
    await judged(rig, "/a", "app:1")
    assert len(rig.notifier.deliveries) == 1
    assert len(rig.sink.deliveries) == 2

    rig.scanners["one"].findings = ("CVE-1", "CVE-2")
    rig.memory.clock.advance(60)
    name = await judged(rig, "/a", "app:1", force=True)
    assert rig.verdict(name).new_findings == ("CVE-2",)
    assert len(rig.notifier.deliveries) == 2


async def test_an_older_observation_is_recorded_but_no_longer_told() -> None:
    rig = Rig()
    rig.plan = replace(rig.plan, notifiers=(NoticeRule("notifier", only_new=False),))
    rig.scanners["one"].wait_s = 300
    rig.deploy("/a", "app:1")
    old = await rig.announce("/a")
    await rig.work_once()
    rig.memory.clock.advance(30)
    rig.deploy("/a", "app:2")
    new = await rig.announce("/a")
    await rig.run()

    assert set(rig.memory.records.verdicts) == {old, new}
    assert [verdict.id for verdict in rig.notifier.got.values()] == [new]


async def test_what_runs_a_vulnerability_now_is_answered_from_the_latest_verdicts() -> None:
    rig = Rig()
    rig.scanners["one"].findings = ("CVE-1",)
    await judged(rig, "/a", "app:1")
    rig.scanners["one"].findings = ()
    rig.memory.clock.advance(60)
    await judged(rig, "/b", "clean:1")

    found = await rig.memory.records.query(RecordQuery(vulnerability="cve-1"))
    assert [verdict.deployment.resource_id for verdict in found] == ["/a"]
    assert found[0].images[0].image is not None
    assert found[0].images[0].image.digest == digest_of("app:1")


async def test_a_rescan_in_progress_never_hides_the_last_result() -> None:
    rig = Rig()
    await judged(rig, "/a", "app:1")
    rig.scanners["one"].wait_s = 3600 * 2
    rig.memory.clock.advance(60)
    rig.deploy("/forced", "app:1")
    await rig.announce("/forced", force=True)
    await rig.run(minutes=2)
    rig.deploy("/b", "app:1")
    name = await rig.announce("/b")
    await rig.run(minutes=2)
    assert rig.verdict(name).outcome is Outcome.PASS


async def test_a_worker_that_lost_its_lease_changes_nothing_when_it_comes_back() -> None:
    rig = Rig()
    scanner = rig.scanners["one"]
    first_may_end = asyncio.Event()
    scanner.hang = first_may_end
    rig.deploy("/a", "app:1")
    name = await rig.announce("/a")
    await rig.work_once()
    (item,) = [item for item in rig.memory.queue.items if item.message.kind is MessageKind.SCAN]

    first = asyncio.create_task(rig.engine.handle(item.message))
    await scanner.started.wait()
    rig.memory.clock.advance(rig.limits.lease_s + 1)
    scanner.hang, scanner.findings = None, ("CVE-1",)
    await rig.engine.handle(item.message)
    taken_over = await rig.memory.state.get("task", item.message.id)

    scanner.findings = ()
    first_may_end.set()
    await first
    assert await rig.memory.state.get("task", item.message.id) == taken_over
    await rig.run()
    assert rig.verdict(name).outcome is Outcome.FAIL
