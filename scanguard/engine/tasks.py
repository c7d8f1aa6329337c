"""Make sure that a scan task exists, runs when it must, and that an assessment waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from scanguard.engine.context import EngineContext
from scanguard.engine.documents import (
    CANCELLED,
    TERMINAL_TASK,
    Assessment,
    ScanTask,
    SourceState,
    TaskState,
    Waiter,
    task_id,
)
from scanguard.engine.messages import scan_message
from scanguard.engine.plan import HostedScanner, Plan
from scanguard.model.image import ResolvedImage
from scanguard.ports import Lane, Outgoing, Row
from scanguard.telemetry.traces import current_traceparent, link_to


@dataclass(frozen=True, slots=True)
class Want:
    """What an assessment takes as an answer of a task.

    A run that was under way when it asked, or a later one, always is (whatever clocks say); a result of an
    earlier run when it is no older than ``since``; a failure for as long as it bars others, unless ``forced``.
    ``deadline`` is when it is judged, ``followed`` the scanners that have another one to stand in for them.
    """

    since: datetime
    asked_at: datetime
    forced: bool = False
    deadline: datetime | None = None
    followed: tuple[str, ...] = ()

    @classmethod
    def of(cls, assessment: Assessment, plan: Plan) -> Want:
        """A forced assessment wants a result of its own time; another one wants a fresh result."""
        since = assessment.created_at if assessment.force else assessment.created_at - plan.freshness
        return cls(since, assessment.created_at, assessment.force, assessment.deadline, plan.fallback[:-1])

    def is_met_by(self, task: ScanTask, run: int) -> bool:
        """Whether there is a result, or a failure, that answers a wish for ``run``."""
        return self.has_result(task, run) or self.has_failure(task, run)

    def has_result(self, task: ScanTask, run: int) -> bool:
        """Whether the task's last report serves; a newer scan in progress does not hide it."""
        result = task.result
        return result is not None and (result.run >= run or result.finished_at >= self.since)

    def has_failure(self, task: ScanTask, run: int) -> bool:
        """Whether the task was given up after this assessment asked."""
        if task.state is not TaskState.FAILED or task.error_kind == CANCELLED:
            return False
        if task.run >= run or (task.failed_at is not None and task.failed_at >= self.asked_at):
            return True
        return not self.forced and task.barred_until is not None and task.barred_until > self.asked_at

    def is_too_late(self, task: ScanTask) -> bool:
        """Whether the task cannot go on before this assessment is judged: its quota is used up, or it has to wait."""
        waits_until = None if task.state in TERMINAL_TASK else task.not_before
        return waits_until is not None and self.deadline is not None and waits_until >= self.deadline

    def is_fresh(self, task: ScanTask, image: ResolvedImage) -> bool:
        """Whether a task that this assessment did not wait for so far needs no new run.

        Failure belongs to the place an image was read from: another place is another chance.
        """
        is_known = any(source.image.source == image.source for source in task.sources)
        return self.has_result(task, task.run + 1) or (is_known and self.has_failure(task, task.run + 1))


class Tasks:
    """Scan tasks, as assessments see them."""

    def __init__(self, context: EngineContext) -> None:
        self._store = context.store
        self._clock = context.backend.clock
        self._limits = context.limits

    async def ensure(
        self, assessment: Assessment, image: ResolvedImage, hosted: HostedScanner, want: Want
    ) -> tuple[ScanTask, list[Outgoing]]:
        """Wait for a task and see that it runs. The waiter is written before the task is read."""
        name = task_id(image, hosted.instance, hosted.fingerprint)
        waiter = Waiter(task=name, assessment=assessment.id, lane=assessment.lane, traceparent=assessment.traceparent)
        await self._store.ensure(waiter, None)
        now = self._clock.now()
        fresh = self._new(name, image, hosted, assessment, now)
        stored = await self._store.get(ScanTask, name) or await self._store.ensure(fresh, self._limits.rearm_at(now))
        task = stored.document
        if task is not fresh and not want.is_fresh(task, image):
            found = await self._store.update(ScanTask, name, "", lambda task: self._reopened(task, fresh, want, now))
            task = found.document if found else fresh
        if task.opened_by != assessment.id:
            link_to([task.traceparent])
        if hosted.instance in want.followed and not task.has_fallback:
            found = await self._store.update(ScanTask, name, "", self._followed)
            task = found.document if found else task
        if task.priority is Lane.BULK and assessment.lane is not Lane.BULK and task.state not in TERMINAL_TASK:
            promoted = await self._store.update(ScanTask, name, "", lambda task: self._promoted(task, now))
            task = promoted.document if promoted else task
            return task, [Outgoing(scan_message(task))]
        return task, self.nudge(task, assessment)

    def _followed(self, task: ScanTask) -> tuple[ScanTask, datetime | None]:
        due = None if task.state in TERMINAL_TASK else task.lease_until or self._limits.rearm_at(self._clock.now())
        return task.model_copy(update={"has_fallback": True}), due

    def _promoted(self, task: ScanTask, now: datetime) -> tuple[ScanTask, datetime | None] | None:
        """A bulk scan that a fresh deployment waits for is fresh work, and need not stand behind it any longer."""
        if task.state in TERMINAL_TASK or task.priority is not Lane.BULK:
            return None
        lane = Lane.HEAVY if task.lane is Lane.HEAVY else Lane.FRESH
        update: dict[str, object] = {"priority": Lane.FRESH, "lane": lane}
        if task.state is TaskState.PENDING and not task.lease:
            update |= {"not_before": None, "slot": None}
        return task.model_copy(update=update), task.lease_until or self._limits.rearm_at(now)

    def nudge(self, task: ScanTask, assessment: Assessment) -> list[Outgoing]:
        """The first message of a run, from the assessment that opened it.

        Nobody else sends one, however many wait: each message of an ended task would wake all of them again.
        """
        is_unheard = task.state is TaskState.PENDING and task.not_before is None and not task.lease
        return [Outgoing(scan_message(task))] if is_unheard and task.opened_by == assessment.id else []

    async def get(self, name: str) -> ScanTask | None:
        """A task, or None."""
        stored = await self._store.get(ScanTask, name)
        return stored.document if stored else None

    async def forget(self, name: str, assessment: str) -> None:
        """Stop waiting."""
        await self._store.state.delete(Row(Waiter.TABLE, name, assessment, {}))

    def _new(
        self, name: str, image: ResolvedImage, hosted: HostedScanner, assessment: Assessment, now: datetime
    ) -> ScanTask:
        return ScanTask(
            id=name,
            digest=image.digest,
            platform=image.platform,
            instance=hosted.instance,
            plugin=hosted.spec.name,
            lane=Lane.HEAVY if hosted.spec.heavy else assessment.lane,
            priority=assessment.lane,
            opened_by=assessment.id,
            sources=(SourceState(image=image),),
            created_at=now,
            deadline=now + timedelta(seconds=hosted.spec.scan_timeout_s),
            traceparent=current_traceparent(assessment.traceparent),
        )

    def _reopened(
        self, task: ScanTask, fresh: ScanTask, want: Want, now: datetime
    ) -> tuple[ScanTask, datetime | None] | None:
        """Start an ended task again when its result does not serve; add a new place to read the image from."""
        if want.is_fresh(task, fresh.sources[0].image):
            return None
        known = {source.image.source for source in task.sources}
        is_new_place = fresh.sources[0].image.source not in known
        if task.state not in TERMINAL_TASK:
            if not is_new_place:
                return None
            added = (*task.sources, *fresh.sources)[-self._limits.max_sources :]
            return task.model_copy(update={"sources": added}), task.lease_until or self._limits.rearm_at(now)
        again = fresh.model_copy(update={"run": task.run + 1, "result": task.result, "failures": task.failures})
        return again, self._limits.rearm_at(now)
