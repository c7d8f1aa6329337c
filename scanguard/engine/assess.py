"""Advance one assessment: describe, resolve, wait, judge, publish. Running twice does no harm."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from scanguard.engine.assessing import (
    NO_ERROR,
    Step,
    assessment_of,
    deadline_of,
    deployment_of,
    ended,
    given_up,
    is_throttling,
    longest,
    once,
    with_login,
)
from scanguard.engine.context import EngineContext
from scanguard.engine.dead import DeadKind
from scanguard.engine.documents import (
    Assessment,
    AssessmentState,
    ImageState,
    OutboxItem,
    OutboxRef,
    OutboxState,
    ScanTask,
    TaskUse,
    outbox_id,
    reborn,
)
from scanguard.engine.heads import Heads
from scanguard.engine.judge import Judge
from scanguard.engine.messages import deliver_message, wake_up
from scanguard.engine.opening import Opening
from scanguard.engine.plan import Plan, Progress
from scanguard.engine.readiness import answered, is_ready, next_fallback, unserved
from scanguard.engine.setbacks import Setbacks
from scanguard.engine.store import Stored, read_document
from scanguard.engine.tasks import Tasks, Want
from scanguard.errors import (
    BackendError,
    ConflictError,
    ScanguardError,
)
from scanguard.model.deployment import Deployment
from scanguard.model.verdict import Verdict
from scanguard.ports import Message, MessageKind, Outgoing
from scanguard.telemetry.traces import current_traceparent

_MAX_STEPS = 50
CLAIM: Final = timedelta(seconds=5)
"""How long a judgement may take before somebody else judges too."""


class AssessHandler:
    """Handles ``intake`` and ``assess`` messages."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._backend = context.backend
        self._store = context.store
        self._host = context.host
        self._limits = context.limits
        self._judge = Judge(context)
        self._tasks = Tasks(context)
        self._heads = Heads(context)
        self._setbacks = Setbacks(context)
        self._opening = Opening(context, self._heads, self._setbacks)

    async def handle(self, message: Message, *, again: bool) -> list[Outgoing]:
        """Take every step that can be taken now; the messages of each are sent when all are done.

        One that is given ``again`` sends once more what nobody seems to have sent. Others need not: where every message
        comes twice, each would make two, and those again.
        """
        if message.kind is MessageKind.INTAKE:
            stored: Stored[Assessment] | None = await self._begin(message)
        else:
            stored = await self._store.get(Assessment, message.id)
        messages: list[Outgoing] = []
        for _ in range(_MAX_STEPS):
            if stored is None:
                return once(messages)
            try:
                following, sent = await self._step(stored, again=again)
            except ConflictError:
                stored = await self._overtaken(stored.document.id)
                continue
            messages += sent
            stored = following
        raise BackendError(f"assessment {message.id} is changed by others all the time; trying again later")

    async def _overtaken(self, assessment: str) -> Stored[Assessment] | None:
        """What somebody faster made of it; places to wait that were taken after they had left go again."""
        stored = await self._store.get(Assessment, assessment)
        if stored is not None and stored.document.state is AssessmentState.DONE:
            await self._leave(stored.document)
        return stored

    async def _leave(self, assessment: Assessment) -> None:
        """Wait no longer for the tasks that have answered."""
        for name in sorted(assessment.tasks - set(assessment.unserved)):
            await self._tasks.forget(name, assessment.id)

    async def _begin(self, message: Message) -> Stored[Assessment]:
        """The event becomes an assessment; the same event again finds it, and replays one that was given up."""
        now = self._context.now()
        stored = await self._store.ensure(assessment_of(message, now), self._limits.rearm_at(now))
        if stored.document.state is not AssessmentState.DEAD:
            return stored
        again = await self._store.replace(stored, reborn(stored.document, now), self._limits.rearm_at(now))
        await self._context.dead.forget(DeadKind.ASSESSMENT, message.id)
        return again

    async def _step(self, stored: Stored[Assessment], *, again: bool) -> Step:
        match stored.document.state:
            case AssessmentState.NEW:
                return await self._opening.step(stored)
            case AssessmentState.DESCRIBED:
                return await self._resolve(stored)
            case AssessmentState.WAITING:
                return await self._wait_or_judge(stored)
            case AssessmentState.JUDGED:
                return await self._publish(stored)
            case AssessmentState.DONE:
                return await self._late(stored, again=again)
            case AssessmentState.DEAD:
                await self._context.dead.note(stored.document)
                return None, []

    # --- resolve ----------------------------------------------------------------------------------------

    async def _resolve(self, stored: Stored[Assessment]) -> Step:
        assessment = stored.document
        deployment = deployment_of(assessment)
        answers = await asyncio.gather(*(self._resolve_one(image, deployment) for image in assessment.images))
        images = tuple(image for image, _ in answers)
        failures = [error for _, error in answers if error is not None]
        now = self._context.now()
        resolved = assessment.model_copy(update={"images": images})
        open_failures = [error for error in failures if error.is_retryable]
        if open_failures:
            error = longest(open_failures)
            used_up = not is_throttling(error) and assessment.attempts + 1 >= self._limits.attempts
            if not used_up and now < deadline_of(assessment):
                return await self._setbacks.try_again(Stored(resolved, stored.row), error)
        if open_failures:
            images = tuple(given_up(image, error) for image, error in answers)
        return await self._start_scans(stored, resolved.model_copy(update={"images": images, **NO_ERROR}))

    async def _resolve_one(self, image: ImageState, deployment: Deployment) -> tuple[ImageState, ScanguardError | None]:
        if image.is_settled:
            return image, None
        self._context.observe(Progress("", image.name, "", "resolving"))
        try:
            found = await self._host.resolve(image.name, deployment.platform)
        except BackendError:
            raise
        except ScanguardError as exc:
            error = with_login(exc, deployment)
            return (image, error) if error.is_retryable else (given_up(image, error), error)
        return image.model_copy(update={"image": found}), None

    async def _start_scans(self, stored: Stored[Assessment], resolved: Assessment) -> Step:
        """A task, and a place to wait, for each image and scanner; then the assessment says that it waits."""
        plan = self._host.plan(deployment_of(resolved))
        messages: list[Outgoing] = []
        images = []
        for image in resolved.images:
            first = (*plan.scanners, *plan.also, *plan.fallback[:1])
            started, sent = await self._start(resolved, image, first, Want.of(resolved, plan))
            images.append(started)
            messages += sent
        waiting = resolved.model_copy(update={"state": AssessmentState.WAITING, "images": tuple(images)})
        return await self._store.replace(stored, waiting, deadline_of(waiting)), messages

    async def _start(
        self, assessment: Assessment, image: ImageState, instances: tuple[str, ...], want: Want
    ) -> tuple[ImageState, list[Outgoing]]:
        """Ensure the tasks of some scanners for one image; those it has already are left as they are."""
        if image.image is None:
            return image, []
        uses = list(image.tasks)
        messages: list[Outgoing] = []
        for instance in instances:
            if any(use.instance == instance for use in uses):
                continue
            hosted = self._host.scanner(instance)
            task, sent = await self._tasks.ensure(assessment, image.image, hosted, want)
            uses.append(TaskUse(instance=instance, task=task.id, run=task.run))
            messages += sent
        return image.model_copy(update={"tasks": tuple(uses)}), messages

    # --- wait, judge ------------------------------------------------------------------------------------

    async def _wait_or_judge(self, stored: Stored[Assessment]) -> Step:
        assessment = stored.document
        plan = self._host.plan(deployment_of(assessment))
        tasks = await self._load_tasks(assessment)
        want = Want.of(assessment, plan)
        with_fallback, messages = await self._next_fallbacks(assessment, plan, tasks, want)
        if with_fallback is not assessment:
            following = await self._store.replace(stored, with_fallback, deadline_of(assessment))
            return following, messages
        is_overdue = self._context.now() >= deadline_of(assessment)
        if is_overdue or all(is_ready(image, plan, tasks, want) for image in assessment.images):
            return await self._decide(stored, plan, tasks, want)
        return None, [out for task in tasks.values() for out in self._tasks.nudge(task, assessment)]

    async def _next_fallbacks(
        self, assessment: Assessment, plan: Plan, tasks: Mapping[str, ScanTask], want: Want
    ) -> tuple[Assessment, list[Outgoing]]:
        images = []
        messages: list[Outgoing] = []
        for image in assessment.images:
            following = next_fallback(image, plan, tasks, want)
            started, sent = await self._start(assessment, image, following, want) if following else (image, [])
            images.append(started)
            messages += sent
        if tuple(images) == assessment.images:
            return assessment, []
        return assessment.model_copy(update={"images": tuple(images)}), messages

    async def _decide(self, stored: Stored[Assessment], plan: Plan, tasks: Mapping[str, ScanTask], want: Want) -> Step:
        """Claim a revision, store the verdict, then say so; whoever was overtaken starts over.

        A claim of somebody else is left alone for a moment: two who judge at once would overtake each other in turn.
        """
        if (again := self._claimed_until(stored.document)) is not None:
            return None, [Outgoing(wake_up(stored.document), again)]
        self._context.observe(Progress(stored.document.id, "", "", "judging"))
        now = self._context.now()
        revision = max(stored.document.claimed, stored.document.revision) + 1
        claimed = stored.document.model_copy(update={"claimed": revision, "claimed_at": now})
        stored = await self._store.replace(stored, claimed, self._limits.rearm_at(now))
        verdict = await self._judge.verdict(claimed, revision, plan, tasks)
        await self._backend.records.save(verdict)
        judged = claimed.model_copy(
            update={
                "state": AssessmentState.JUDGED,
                "revision": revision,
                "answered": answered(claimed, tasks, want),
                "unserved": unserved(claimed, tasks, want),
                "outbox": await self._owed(verdict, plan),
            }
        )
        stored = await self._store.replace(stored, judged, self._limits.rearm_at(now))
        took = None if claimed.revision else (now - claimed.event.time).total_seconds()
        self._context.observe(Progress(claimed.id, "", "", "judging", verdict.outcome.value, "verdict", took, verdict))
        return stored, []

    def _claimed_until(self, assessment: Assessment) -> datetime | None:
        """When to look again at an assessment that somebody is judging now."""
        if assessment.claimed_at is None or assessment.claimed <= assessment.revision:
            return None
        until = assessment.claimed_at + CLAIM
        return until if assessment.claimed_at <= self._context.now() < until else None

    async def _owed(self, verdict: Verdict, plan: Plan) -> tuple[OutboxRef, ...]:
        """Every sink gets every verdict; people hear only of a deployment's newest observation, while it is there."""
        owed = [OutboxRef(kind="sink", instance=instance) for instance in plan.sinks]
        head = await self._heads.of(verdict.deployment.resource_id)
        if head is not None and head.closed_at is not None:
            await self._backend.records.save(verdict.model_copy(update={"closed_at": head.closed_at}))
        elif head is None or head.assessment == verdict.id:
            owed += [
                OutboxRef(kind="notifier", instance=rule.instance) for rule in plan.notifiers if rule.wants(verdict)
            ]
        return tuple(dict.fromkeys(owed))

    async def _publish(self, stored: Stored[Assessment]) -> Step:
        """Write the outbox, stop waiting, and only then be done."""
        assessment = stored.document
        now = self._context.now()
        messages = []
        for ref in assessment.outbox:
            item = OutboxItem(
                id=outbox_id(assessment.id, assessment.revision, ref),
                assessment=assessment.id,
                revision=assessment.revision,
                kind=ref.kind,
                instance=ref.instance,
                lane=assessment.lane,
                created_at=now,
                traceparent=current_traceparent(assessment.traceparent),
            )
            await self._store.ensure(item, self._limits.rearm_at(now))
            messages.append(Outgoing(deliver_message(item)))
        await self._leave(assessment)
        await self._store.replace(stored, ended(assessment), None)
        if assessment.unread:
            await self._context.dead.note(ended(assessment))
        self._context.observe(Progress(assessment.id, "", "", "done"))
        return None, messages

    async def _late(self, stored: Stored[Assessment], *, again: bool) -> Step:
        """A report that came after the deadline, or after its scan was given up, judges again."""
        assessment = stored.document
        await self._leave(assessment)  # somebody slower may have taken a place to wait again, and died
        unsent = await self._unsent(assessment) if again else []
        if not assessment.unserved:
            return None, unsent
        plan = self._host.plan(deployment_of(assessment))
        tasks = await self._load_tasks(assessment)
        want = Want.of(assessment, plan)
        is_more = answered(assessment, tasks, want) > assessment.answered
        if is_more or len(unserved(assessment, tasks, want)) < len(assessment.unserved):
            return await self._decide(stored, plan, tasks, want)
        if self._context.now() > assessment.created_at + timedelta(seconds=self._limits.late_s):
            for name in assessment.unserved:
                await self._tasks.forget(name, assessment.id)
        return None, unsent

    async def _unsent(self, assessment: Assessment) -> list[Outgoing]:
        """Messages of deliveries that nobody has begun: whoever wrote them may have died before sending."""
        rows = await self._backend.state.page(OutboxItem.TABLE, assessment.id)
        items = [read_document(OutboxItem, row) for row in rows]
        return [
            Outgoing(deliver_message(item))
            for item in items
            if item.state is OutboxState.PENDING and not item.lease and not item.attempts
        ]

    async def _load_tasks(self, assessment: Assessment) -> dict[str, ScanTask]:
        loaded = {name: await self._tasks.get(name) for name in sorted(assessment.tasks)}
        return {name: task for name, task in loaded.items() if task is not None}
