"""The observer that says what happened, as events and audit records, beside whoever else watches."""

from __future__ import annotations

from scanguard.engine.documents import CANCELLED, OutboxItem, ScanTask
from scanguard.engine.plan import Observer, Progress
from scanguard.model.verdict import Verdict
from scanguard.telemetry.events import ENGINE, audit, scan_failed, scan_started, verdict_decided


def reported(others: Observer | None) -> Observer:
    """An observer that writes a step down, then tells ``others``."""

    def observe(step: Progress) -> None:
        _report(step)
        if others is not None:
            others(step)

    return observe


def _report(step: Progress) -> None:
    match step.ended, step.about:
        case "verdict", Verdict() as verdict:
            verdict_decided(verdict)
        case "start", ScanTask() as task:
            scan_started(**_of(task))
        case "scan", ScanTask() as task if step.phase == "failed" and task.error_kind != CANCELLED:
            scan_failed(**_of(task), error=task.error, error_kind=task.error_kind)
        case "delivery", OutboxItem() as item:
            outcome = "failed" if step.phase == "failed" else "done"
            audit(f"deliver.{item.kind}", item.instance, outcome, scan=item.assessment, detail=step.detail, who=ENGINE)


def _of(task: ScanTask) -> dict[str, str]:
    place = task.source or task.sources[0].image
    return {
        "image": place.name,
        "digest": task.digest,
        "scanner": task.instance,
        "task": task.id,
        "assessment": task.opened_by,
    }
