"""The engine: ``handle(message)`` gives new messages, and everything else is a driver."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from pydantic import ValidationError

from scanguard.engine.assess import AssessHandler
from scanguard.engine.assessing import assessment_of
from scanguard.engine.context import EngineContext
from scanguard.engine.dead import DeadLetters
from scanguard.engine.deliver import DeliverHandler
from scanguard.engine.documents import (
    TERMINAL_OUTBOX,
    TERMINAL_TASK,
    Assessment,
    AssessmentState,
    OutboxItem,
    OutboxState,
    ScanTask,
    TaskState,
)
from scanguard.engine.limits import EngineLimits
from scanguard.engine.messages import correlation_of
from scanguard.engine.plan import Host, Observer, Progress
from scanguard.engine.quota import Quotas
from scanguard.engine.reports import MergedReports
from scanguard.engine.scan import ScanHandler
from scanguard.engine.store import Store, Stored
from scanguard.engine.sweep import SweepHandler
from scanguard.engine.tracing import handling
from scanguard.errors import BackendError
from scanguard.ports import Backend, Message, MessageKind, Outgoing
from scanguard.telemetry.correlation import correlating

D = TypeVar("D", Assessment, ScanTask, OutboxItem)
LOST: Final = "the queue gave its message up: whoever handled it failed, or ended, every time"
_ENDED: Final = frozenset({AssessmentState.DONE, AssessmentState.DEAD, *TERMINAL_TASK, *TERMINAL_OUTBOX})
log = logging.getLogger("scanguard.engine")


def _ignore(_: Progress) -> None:
    """Nobody watches."""


class Engine:
    """Handles one message at a time; many engines may run on one backend."""

    def __init__(
        self,
        backend: Backend,
        host: Host,
        *,
        limits: EngineLimits | None = None,
        observe: Observer = _ignore,
        runs_jobs: bool = True,
    ) -> None:
        """``runs_jobs``: this engine also starts the periodic jobs of plugins when they are due."""
        store = Store(backend.state)
        limits = limits or EngineLimits()
        self.context = EngineContext(
            backend=backend,
            store=store,
            merged=MergedReports(backend.reports),
            quotas=Quotas(store, backend.clock),
            dead=DeadLetters(store, backend.clock, host, limits),
            host=host,
            limits=limits,
            observe=observe,
        )
        self._assess = AssessHandler(self.context)
        self._scan = ScanHandler(self.context)
        self._deliver = DeliverHandler(self.context)
        self._sweep = SweepHandler(self.context, runs_jobs=runs_jobs)

    async def ensure_jobs(self) -> None:
        """See that each configured periodic job has its schedule. A sweep for what is overdue does that too."""
        await self._sweep.ensure_jobs()

    async def handle(self, message: Message, *, again: bool = False) -> list[Outgoing]:
        """Do the work a message asks for; the driver sends what comes back, and only then acknowledges.

        Args:
            message: What to do.
            again: Whether it was given before: whoever had it may have died before sending what followed.

        Errors:
            BackendError: the state, queue or report store failed; leave the message to come again.
        """
        with correlating(correlation_of(message)), handling(message) as working:
            try:
                return await self._dispatch(message, again=again)
            except (BackendError, asyncio.CancelledError):
                raise
            except Exception as exc:
                log.exception("internal error: kind=%s id=%s", message.kind, message.id)
                working.failed(exc, is_logged=True)
                return await self._note_failure(message, exc)

    async def _dispatch(self, message: Message, *, again: bool) -> list[Outgoing]:
        match message.kind:
            case MessageKind.INTAKE | MessageKind.ASSESS:
                return await self._assess.handle(message, again=again)
            case MessageKind.SCAN:
                return await self._scan.handle(message)
            case MessageKind.DELIVER:
                return await self._deliver.handle(message)
            case MessageKind.SWEEP:
                return await self._sweep.handle(message)

    async def _note_failure(self, message: Message, exc: Exception) -> list[Outgoing]:
        """Count an unforeseen failure in the state, and give up after too many: never loop in silence."""
        noted = await self._counted(message, _describe(exc), type(exc).__name__)
        if noted is None:
            raise BackendError(f"{message.kind} {message.id}: {_describe(exc)}") from exc
        return noted

    async def lost(self, message: Message) -> list[Outgoing]:
        """Take up what a host's queue gave up; what has no attempts left becomes a dead letter.

        A message that ends every process it is given to leaves no trace in the state: such an attempt is counted here.
        What has ended, or is woken by its own due time, needs no message.

        Errors:
            EventError: an intake message without its event. BackendError: the state cannot be had; ask again.
        """
        with correlating(correlation_of(message)):
            if message.kind is MessageKind.INTAKE:
                now = self.context.now()
                await self.context.store.ensure(assessment_of(message, now), self.context.limits.rearm_at(now))
            return await self._counted(message, LOST, "Lost", pending_only=True) or []

    async def _counted(
        self, message: Message, error: str, kind: str, *, pending_only: bool = False
    ) -> list[Outgoing] | None:
        """One attempt more in the state, and the message again; None when there is no row to count on."""
        now = self.context.now()
        note = _Note(error=error, kind=kind, now=now, limits=self.context.limits, pending_only=pending_only)
        store = self.context.store
        noted: Stored[Assessment] | Stored[ScanTask] | Stored[OutboxItem] | None = None
        match message.kind:
            case MessageKind.INTAKE | MessageKind.ASSESS:
                noted = await store.update(Assessment, message.id, "", note.on(AssessmentState.DEAD))
            case MessageKind.SCAN:
                noted = await store.update(ScanTask, message.id, "", note.on(TaskState.FAILED, failed_at=now))
            case MessageKind.DELIVER:
                assessment, _, item = message.id.partition("/")
                noted = await store.update(OutboxItem, assessment, item, note.on(OutboxState.DEAD))
            case MessageKind.SWEEP:
                pass
        if noted is None:
            return None
        if not note.counted:
            await self.context.dead.note(noted.document)
            return []
        if isinstance(noted.document, ScanTask) and noted.document.state is TaskState.FAILED:
            task = noted.document
            self.context.observe(Progress("", "", task.instance, "failed", error, "scan", about=task))
        return [Outgoing(message, note.again(noted.document.attempts))]


@dataclass(slots=True)
class _Note:
    """An unforeseen failure, to be written on whatever document it happened to."""

    error: str
    kind: str
    now: datetime
    limits: EngineLimits
    pending_only: bool = False
    """Leave what has ended as it is."""
    counted: bool = False

    def on(self, ended: object, **last: object) -> Callable[[D], tuple[D, datetime | None] | None]:
        """One attempt more; after the last one the state ``ended``, together with the fields ``last``."""

        def change(document: D) -> tuple[D, datetime | None] | None:
            self.counted = not (self.pending_only and document.state in _ENDED)
            if not self.counted:
                return None
            attempts = document.attempts + 1
            noted = {"attempts": attempts, "error": self.error, "error_kind": self.kind}
            if attempts >= self.limits.attempts:
                return document.model_copy(update={**noted, **last, "state": ended}), None
            return document.model_copy(update=noted), self.limits.rearm_at(self.again(attempts))

        return change

    def again(self, attempts: int) -> datetime:
        """When the message comes again: at once after the last attempt, so that others hear of the end."""
        return self.now if attempts >= self.limits.attempts else self.limits.retry_at(self.now, attempts)


def _describe(exc: Exception) -> str:
    if isinstance(exc, ValidationError):
        return f"internal error: {exc.error_count()} faults in a {exc.title}"
    return f"internal error: {type(exc).__name__}; the log has the details"
