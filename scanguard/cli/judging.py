"""From accepted work to an exit code: drive the queue, collect what was decided, tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from scanguard.app.stored import deliveries_of
from scanguard.cli.deliveries import delivery_line
from scanguard.cli.exit_codes import ExitCode, code_of, worst_code
from scanguard.cli.output import note, show, write
from scanguard.cli.progress import progress_listener
from scanguard.engine.documents import OutboxState
from scanguard.render.document import BLANK, Document
from scanguard.render.json_text import verdicts_json
from scanguard.render.text import count
from scanguard.render.verdict import summary_document, verdict_document

if TYPE_CHECKING:
    from scanguard.cli.application import Application
    from scanguard.engine.documents import OutboxItem
    from scanguard.model.merged import MergedReport
from scanguard.model.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of some assessments."""

    verdicts: tuple[Verdict, ...]
    reports: Mapping[str, MergedReport]
    dead: Mapping[str, str]
    """Why, by id, of those that became dead letters."""
    closed: Mapping[str, datetime]
    """Since when, by id, of those whose deployment is gone."""
    unfinished: tuple[str, ...]
    failed: tuple[OutboxItem, ...]
    """Deliveries that were given up."""
    waiting: int
    """Deliveries that are still to be made."""
    freshness: Mapping[str, timedelta | None]
    """By id of the verdict: how long a scan counts as fresh."""
    at: datetime

    @property
    def code(self) -> ExitCode:
        """The exit code: an assessment without a verdict is unknown."""
        codes = [code_of(verdict.outcome) for verdict in self.verdicts]
        codes += [ExitCode.UNKNOWN] * (len(self.dead) + len(self.unfinished))
        codes += [ExitCode.DELIVERY] * len(self.failed)
        return worst_code(codes)


async def judge(app: Application, ids: Sequence[str], environ: Mapping[str, str]) -> Judged:
    """Work until these assessments are judged, telling progress on standard error."""
    wanted = tuple(dict.fromkeys(ids))
    with progress_listener(environ) as listen:
        await app.work(until=wanted, progress=listen)
    return await _collect(app, wanted)


async def _collect(app: Application, ids: Sequence[str]) -> Judged:
    dead = await app.dead(ids)
    found = {id: await app.verdict(id) for id in ids}
    verdicts = tuple(verdict for verdict in found.values() if verdict)
    reports: dict[str, MergedReport] = {}
    items: list[OutboxItem] = []
    for verdict in verdicts:
        reports.update(await app.reports(verdict))
        items += await deliveries_of(app.backend, verdict.id)
    closed = await app.closed([id for id, verdict in found.items() if verdict is None])
    unfinished = tuple(id for id, verdict in found.items() if verdict is None and id not in {**dead, **closed})
    gone = {id: why for id, why in dead.items() if found.get(id) is None}
    return Judged(
        verdicts=verdicts,
        reports=reports,
        dead=gone,
        closed=closed,
        unfinished=unfinished,
        failed=tuple(item for item in items if item.state is OutboxState.DEAD),
        waiting=sum(item.state is OutboxState.PENDING for item in items),
        freshness={verdict.id: app.freshness(verdict) for verdict in verdicts},
        at=app.backend.clock.now(),
    )


def tell(judged: Judged, *, form: str, limit: int) -> ExitCode:
    """Results to standard output, what went wrong to standard error; return the exit code."""
    if form == "json":
        write(
            verdicts_json(judged.verdicts, judged.reports, dead=dict(judged.dead), unfinished=list(judged.unfinished))
        )
    else:
        show(_document(judged, limit))
    for id, why in judged.dead.items():
        note(f"No verdict for {id}: {why}")
    for id in judged.closed:
        note(f"No verdict for {id}: closed: the deployment is gone.")
    for id in judged.unfinished:
        note(f"No verdict yet for {id}; `scanguard worker` goes on with it.")
    for item in judged.failed:
        line = delivery_line(item, judged.at)
        note(f"Delivery failed: {line.destination}, {line.detail}")
    if judged.waiting:
        note(f"{count(judged.waiting, 'delivery', 'deliveries')} still to be made; `scanguard worker` goes on with it.")
    return judged.code


def _document(judged: Judged, limit: int) -> Document:
    document: Document = ()
    for position, verdict in enumerate(judged.verdicts):
        gap = (BLANK, BLANK) if position else ()
        told = verdict_document(
            verdict, judged.reports, now=judged.at, limit=limit, freshness=judged.freshness[verdict.id]
        )
        document += (*gap, *told)
    if len(judged.verdicts) > 1:
        document += (BLANK, BLANK, *summary_document(judged.verdicts))
    return document
