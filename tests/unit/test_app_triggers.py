"""A host that owns the queues: one message at a time, what it gave up, and the start of periodic jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scanguard.app.triggers import Triggers
from scanguard.backends import embedded
from scanguard.engine.dead import DeadKind
from scanguard.engine.documents import Assessment, AssessmentState, OutboxItem, ScanTask
from scanguard.engine.driver import ForeignMessageError
from scanguard.engine.engine import Engine
from scanguard.engine.limits import EngineLimits
from scanguard.errors import BackendError
from scanguard.ports import ALL_LANES, Arrival, Backend, Message, MessageKind, Row
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigHost

LIMITS = EngineLimits(attempts=3, backoff_s=10.0, max_backoff_s=60.0)


class Place:
    """An engine on the embedded backend, whose queue this test reads as a host would."""

    def __init__(self, rig: Rig, backend: Backend) -> None:
        self.rig = rig
        self.backend = backend
        self.engine = Engine(backend, RigHost(rig), limits=LIMITS)
        self.triggers = Triggers(self.engine)

    async def intake(self) -> Message:
        self.rig.deploy("/a", "app:1")
        await self.rig.announce("/a")
        (item,) = self.rig.memory.queue.items
        return item.message

    async def taken(self) -> list[Message]:
        held = await self.backend.queue.receive(ALL_LANES, limit=50, visibility_s=60)
        for one in held:
            await self.backend.queue.ack(one)
        return [one.message for one in held if one.message]

    async def assessment(self, id: str) -> Assessment:
        row = await self.backend.state.get(Assessment.TABLE, id)
        assert row is not None
        return Assessment.model_validate(row.body, strict=False)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with embedded(tmp_path) as backend:
        yield Place(Rig(), backend)


async def test_a_message_leads_to_a_verdict_step_by_step(place: Place) -> None:
    message = await place.intake()
    texts = [message.model_dump_json()]
    for _ in range(20):
        if not texts:
            break
        await place.triggers.message(texts.pop(), deliveries=2)
        texts += [one.model_dump_json() for one in await place.taken()]
    assert (await place.assessment(message.id)).state is AssessmentState.DONE
    assert place.rig.sink.deliveries


async def test_what_follows_at_once_is_done_in_one_execution(place: Place) -> None:
    message = await place.intake()
    await place.triggers.message(message.model_dump_json())
    assert (await place.assessment(message.id)).state is AssessmentState.DONE
    assert place.rig.sink.deliveries
    assert await place.taken() == []


async def test_a_message_that_comes_again_does_its_own_work_only(place: Place) -> None:
    message = await place.intake()
    await place.triggers.message(message.model_dump_json(), deliveries=2)
    assert place.rig.scanners["one"].submitted == []
    assert {one.kind for one in await place.taken()} == {MessageKind.SCAN}


async def test_a_step_that_fails_on_the_way_becomes_a_message(tmp_path: Path) -> None:
    rig = Rig()
    async with embedded(tmp_path) as backend:

        class Failing:
            def __getattr__(self, name: str) -> object:
                return getattr(backend.reports, name)

            async def put(self, name: str, data: bytes) -> None:
                raise BackendError("the reports are away")

        place = Place(rig, replace(backend, reports=Failing()))  # type: ignore[arg-type]  # forwards the rest
        message = await place.intake()
        await place.triggers.message(message.model_dump_json())
        assert rig.scanners["one"].submitted
        assert await backend.queue.next_visible(ALL_LANES) is not None
        assert (await place.assessment(message.id)).state is AssessmentState.WAITING


async def test_a_newer_message_and_an_unreadable_one_are_given_back_to_the_host(place: Place) -> None:
    newer = Message(schema_version=99, kind=MessageKind.SCAN, id="x").model_dump_json()
    for text in (newer, "{", "", "[]", "x" * 300_000, '{"kind":"scan","id":"x","more":1}'):
        with pytest.raises(ForeignMessageError):
            await place.triggers.message(text)
    assert await place.taken() == []


async def test_a_message_of_a_store_that_fails_is_given_back_to_the_host(tmp_path: Path) -> None:
    rig = Rig()
    async with embedded(tmp_path) as backend:

        class Broken:
            async def send(self, messages: object) -> None:
                raise BackendError("the queue is away")

        place = Place(rig, replace(backend, queue=Broken()))  # type: ignore[arg-type]  # fails before anything else
        message = await place.intake()
        with pytest.raises(BackendError, match="the queue is away"):
            await place.triggers.message(message.model_dump_json())


async def test_a_poison_message_goes_on_while_attempts_are_left_and_then_is_a_dead_letter(place: Place) -> None:
    text = (await place.intake()).model_dump_json()
    id = Message.model_validate_json(text).id
    for attempt in (1, 2):
        assert await place.triggers.poison(text)
        assert (await place.assessment(id)).attempts == attempt
        assert await place.taken() == []  # only after a pause
    assert await place.triggers.poison(text)
    dead = await place.assessment(id)
    assert dead.state is AssessmentState.DEAD
    assert "the queue gave its message up" in dead.error
    (again,) = await place.taken()
    await place.triggers.message(Message(kind=MessageKind.ASSESS, id=again.id).model_dump_json())
    letters, _ = await place.engine.context.dead.page(DeadKind.ASSESSMENT)
    assert [letter.id for letter in letters] == [id]


async def test_a_poison_message_of_what_has_ended_changes_nothing(place: Place) -> None:
    await test_a_message_leads_to_a_verdict_step_by_step(place)
    rows: dict[tuple[str, str], Row] = {}
    (intake,) = [item.message for item in place.rig.memory.queue.items]
    done = await place.assessment(intake.id)
    outbox, *_ = await place.backend.state.page(OutboxItem.TABLE, intake.id)
    for message in (
        intake,
        Message(kind=MessageKind.ASSESS, id=intake.id),
        Message(kind=MessageKind.SCAN, id=next(iter(done.tasks))),
        Message(kind=MessageKind.DELIVER, id=f"{intake.id}/{outbox.key}"),
        Message(kind=MessageKind.SCAN, id="gone"),
        Message(kind=MessageKind.SCAN, id="one", body={"poll": True}),
        Message(kind=MessageKind.SWEEP, id="rearm"),
    ):
        assert await place.triggers.poison(message.model_dump_json())
        for table, key in ((Assessment.TABLE, intake.id), (ScanTask.TABLE, next(iter(done.tasks)))):
            row = await place.backend.state.get(table, key)
            assert row is not None
            assert rows.setdefault((table, key), row) == row
    assert await place.taken() == []


async def test_a_poison_message_nobody_can_read_is_kept(place: Place) -> None:
    without = Message(kind=MessageKind.INTAKE, id="x").model_dump_json()
    event = (await place.intake()).body["event"]
    forged = Message(kind=MessageKind.INTAKE, id="x", body={"event": event}).model_dump_json()
    newer = Message(schema_version=99, kind=MessageKind.SCAN, id="x").model_dump_json()
    for text in ("{", newer, without, forged):
        assert not await place.triggers.poison(text)
    assert await place.taken() == []


async def test_a_poison_message_comes_again_uncounted_while_the_state_is_away(tmp_path: Path) -> None:
    rig = Rig()
    async with embedded(tmp_path) as backend:

        class Away:
            def __getattr__(self, name: str) -> object:
                async def fail(*_: object, **__: object) -> None:
                    raise BackendError("the table is away")

                return fail

        place = Place(rig, replace(backend, state=Away()))  # type: ignore[arg-type]  # every call fails
        message = await place.intake()
        assert await place.triggers.poison(message.model_dump_json())
        at = await backend.queue.next_visible(ALL_LANES)
        assert at is not None
        assert at > backend.clock.now() + timedelta(seconds=5)


async def test_a_tick_wakes_what_is_overdue_and_needs_no_message_of_its_own(place: Place) -> None:
    message = await place.intake()
    await place.triggers.message(message.model_dump_json(), deliveries=2)
    (lost,) = await place.taken()
    row = await place.backend.state.get(ScanTask.TABLE, lost.id)
    assert row is not None
    await place.backend.state.replace(row.with_(row.body, place.backend.clock.now()))
    await place.triggers.tick()
    assert await place.taken() == [lost]
    await place.triggers.tick()
    assert await place.taken() == []


class Claims:
    """A queue that keeps parts of its messages elsewhere."""

    def __init__(self, inner: object, arrival: Arrival) -> None:
        self._inner = inner
        self.arrival = arrival
        self.forgotten: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    async def arrived(self, text: str) -> Arrival:
        return self.arrival

    async def handled(self, text: str) -> None:
        self.forgotten.append(text)


async def test_a_part_kept_elsewhere_goes_only_once_the_message_was_handled(tmp_path: Path) -> None:
    rig = Rig()
    async with embedded(tmp_path) as backend:
        message = await Place(rig, backend).intake()
        queue = Claims(backend.queue, Arrival(None, is_void=True))
        place = Place(rig, replace(backend, queue=queue))  # type: ignore[arg-type]  # forwards the rest
        await place.triggers.message("twin")
        assert await place.triggers.poison("twin")
        assert queue.forgotten == []
        queue.arrival = Arrival(message, not_before=backend.clock.now() + timedelta(days=9))
        await place.triggers.message("early")
        assert queue.forgotten == ["early"]
        assert await backend.state.get(Assessment.TABLE, message.id) is None
        queue.arrival = Arrival(message)
        await place.triggers.message("whole")
        assert queue.forgotten == ["early", "whole"]
