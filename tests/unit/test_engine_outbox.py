"""What a judgement owes is sent by the message that made it, however often that message comes."""

from __future__ import annotations

from scanguard.engine.documents import AssessmentState, OutboxState
from scanguard.ports import MessageKind
from scanguard.testing.rig import VISIBILITY_S, Rig


async def killed_between_the_last_state_and_its_messages() -> Rig:
    """A rig whose one assessment is done, whose deliveries are open, and whose engine died before it sent them."""
    for calls in range(200):
        rig = Rig()
        rig.deploy("/a", "app:1")
        await rig.announce("/a")
        rig.memory.faults.countdown = calls
        while not rig.crashes and await rig.work_once():
            pass
        is_done = [one.state for one in rig.assessments().values()] == [AssessmentState.DONE]
        is_owed = {item.state for item in rig.outbox()} == {OutboxState.PENDING}
        is_sent = any(item.message.kind is MessageKind.DELIVER for item in rig.memory.queue.items)
        if rig.crashes and is_done and is_owed and not is_sent:
            return rig
    raise AssertionError("the engine never stops between the two")


async def test_deliveries_go_out_when_the_message_of_a_dead_worker_comes_again() -> None:
    rig = await killed_between_the_last_state_and_its_messages()

    rig.memory.clock.advance(VISIBILITY_S)
    while await rig.work_once():
        pass

    assert {item.state for item in rig.outbox()} == {OutboxState.DONE}


async def test_deliveries_of_a_dead_worker_go_out_at_the_latest_when_they_are_overdue() -> None:
    rig = await killed_between_the_last_state_and_its_messages()

    await rig.run()

    assert {item.state for item in rig.outbox()} == {OutboxState.DONE}
