"""Dead letters: what was given up, why, and how it is taken up again.

A letter is a row beside the document that died, so that people find it; the document says whether it still holds.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from scanguard.engine.documents import (
    CANCELLED,
    Assessment,
    AssessmentState,
    Document,
    OutboxItem,
    OutboxState,
    ScanTask,
    SourceState,
    TaskState,
    reborn,
)
from scanguard.engine.limits import EngineLimits
from scanguard.engine.messages import deliver_message, scan_message, wake_up
from scanguard.engine.plan import Host
from scanguard.engine.store import Store, read_document
from scanguard.errors import ConflictError
from scanguard.model.base import Instant
from scanguard.ports import Clock, Outgoing, Row
from scanguard.telemetry.metrics import count_dead_letter


class DeadKind(StrEnum):
    """What died: a deployment's assessment, an image's scan, or a delivery."""

    ASSESSMENT = "assessment"
    SCAN = "scan"
    DELIVERY = "delivery"


class DeadLetter(Document):
    """Something that was given up. ``id`` is the assessment's, the task's, or the outbox item's."""

    TABLE: ClassVar[str] = "dead"

    kind: DeadKind
    id: str
    assessment: str = ""
    """The assessment a delivery, or the assessment itself, belongs to."""
    subject: str
    """The resource, the image, or the destination."""
    instance: str = ""
    """The scanner, sink or notifier, if one is concerned."""
    error: str
    error_kind: str
    attempts: int
    died_at: Instant

    @property
    def address(self) -> tuple[str, str]:
        """Partition and key of the row."""
        return self.kind, self.id


Deceased = Assessment | ScanTask | OutboxItem


class DeadLetters:
    """Lists, replays and drops what was given up."""

    def __init__(self, store: Store, clock: Clock, host: Host, limits: EngineLimits) -> None:
        self._store = store
        self._clock = clock
        self._host = host
        self._limits = limits

    async def note(self, document: Deceased) -> None:
        """Make the letter of a document that died, unless somebody dropped it or stopped the work on purpose."""
        letter = letter_of(document, self._clock.now())
        if letter is None:
            return
        stored = await self._store.ensure(letter, None)
        if stored.document is letter:
            count_dead_letter(letter.kind.value)
        else:  # of an earlier death
            with contextlib.suppress(ConflictError):
                await self._store.replace(stored, letter, None)

    async def forget(self, kind: DeadKind, id: str) -> None:
        """Remove a letter, if there is one."""
        await self._store.state.delete(Row(DeadLetter.TABLE, kind, id, {}))

    async def page(self, kind: DeadKind, *, after: str = "", limit: int = 100) -> tuple[Sequence[DeadLetter], str]:
        """Letters of a kind in the order of their ids, and where the next page starts (empty at the end).

        Those that no longer hold are removed on the way.
        """
        rows = await self._store.state.page(DeadLetter.TABLE, kind, after=after, limit=limit)
        letters = [read_document(DeadLetter, row) for row in rows]
        holding = []
        for letter in letters:
            document = await self._document(letter)
            if document is not None and letter_of(document, letter.died_at) is not None:
                holding.append(letter)
            else:
                await self.forget(letter.kind, letter.id)
        return holding, rows[-1].key if len(rows) == limit else ""

    async def replay(self, letter: DeadLetter) -> list[Outgoing]:
        """Start again what a letter is about; the letter goes when the caller has sent the messages.

        Errors:
            ConfigError, PluginError: the scanner of a scan is not there any more.
        """
        now = self._clock.now()
        due = self._limits.rearm_at(now)
        match letter.kind:
            case DeadKind.ASSESSMENT:
                again = await self._store.update(
                    Assessment, letter.id, "", lambda one: (reborn(one, now), due) if _died(one) else None
                )
                return [Outgoing(wake_up(again.document))] if again else []
            case DeadKind.SCAN:
                return await self._replay_scan(letter, now, due)
            case DeadKind.DELIVERY:
                pending = {"state": OutboxState.PENDING, "attempts": 0, "not_before": None, "dropped": ""}
                item = await self._store.update(
                    OutboxItem,
                    letter.assessment,
                    letter.id,
                    lambda one: (one.model_copy(update=pending), due) if _died(one) else None,
                )
                return [Outgoing(deliver_message(item.document))] if item else []

    async def _replay_scan(self, letter: DeadLetter, now: datetime, due: datetime) -> list[Outgoing]:
        stored = await self._store.get(ScanTask, letter.id)
        if stored is None:
            return []
        hosted = self._host.scanner(stored.document.instance)
        deadline = now + timedelta(seconds=hosted.spec.scan_timeout_s)

        def change(task: ScanTask) -> tuple[ScanTask, datetime] | None:
            return (reopened(task, now, deadline), due) if _died(task) else None

        again = await self._store.update(ScanTask, letter.id, "", change, known=stored)
        return [Outgoing(scan_message(again.document))] if again else []

    async def drop(self, letter: DeadLetter, reason: str) -> None:
        """Let it rest: the document keeps the reason, and the letter goes."""
        partition, key = (letter.assessment, letter.id) if letter.kind is DeadKind.DELIVERY else (letter.id, "")
        kind: type[Deceased] = _TYPES[letter.kind]

        def change(one: Deceased) -> tuple[Deceased, None] | None:
            return (one.model_copy(update={"dropped": reason}), None) if _died(one) else None

        await self._store.update(kind, partition, key, change)
        await self.forget(letter.kind, letter.id)

    async def _document(self, letter: DeadLetter) -> Deceased | None:
        partition, key = (letter.assessment, letter.id) if letter.kind is DeadKind.DELIVERY else (letter.id, "")
        stored = await self._store.get(_TYPES[letter.kind], partition, key)
        return stored.document if stored else None


_TYPES: dict[DeadKind, type[Deceased]] = {
    DeadKind.ASSESSMENT: Assessment,
    DeadKind.SCAN: ScanTask,
    DeadKind.DELIVERY: OutboxItem,
}


def letter_of(document: Deceased, died_at: datetime) -> DeadLetter | None:
    """The letter that a document deserves, or None."""
    if not _died(document) or document.dropped:
        return None
    about = {"error": document.error, "error_kind": document.error_kind, "attempts": document.attempts}
    if isinstance(document, Assessment):
        return DeadLetter(
            kind=DeadKind.ASSESSMENT,
            id=document.id,
            assessment=document.id,
            subject=document.event.resource_id,
            died_at=died_at,
            **about,
        )
    if isinstance(document, ScanTask):
        if document.error_kind == CANCELLED:
            return None  # the assessment that was stopped has a letter
        return DeadLetter(
            kind=DeadKind.SCAN,
            id=document.id,
            subject=document.sources[0].image.name,
            instance=document.instance,
            died_at=document.failed_at or died_at,
            **about,
        )
    return DeadLetter(
        kind=DeadKind.DELIVERY,
        id=document.id,
        assessment=document.assessment,
        subject=document.instance,
        instance=document.instance,
        died_at=died_at,
        **about,
    )


def reopened(task: ScanTask, now: datetime, deadline: datetime) -> ScanTask:
    """The next run of an ended task, from every place it can be read from."""
    return task.model_copy(
        update={
            "state": TaskState.PENDING,
            "run": task.run + 1,
            "sources": tuple(SourceState(image=source.image) for source in task.sources),
            "created_at": now,
            "deadline": deadline,
            "lease": "",
            "lease_until": None,
            "not_before": None,
            "slot": None,
            "ticket": None,
            "attempts": 0,
            "opened_by": "",
            "barred_until": None,
            "dropped": "",
            "error": "",
            "error_kind": "",
        }
    )


def _died(document: Deceased) -> bool:
    return document.state in {AssessmentState.DEAD, TaskState.FAILED, OutboxState.DEAD}
