"""What becomes of a scan task after a step: pure, the same step gives the same task."""

from __future__ import annotations

from datetime import datetime, timedelta

from scanguard.engine.documents import TERMINAL_TASK, ScanTask, SourceState, TaskResult, TaskState
from scanguard.engine.limits import EngineLimits
from scanguard.engine.turns import LONGEST
from scanguard.errors import (
    RegistryError,
    RegistryThrottledError,
    ScanguardError,
    ScannerOutputError,
    ScannerThrottledError,
    ScanTargetNotFoundError,
    ScanTimeoutError,
    ScanUnsupportedError,
)
from scanguard.hooks import Ticket
from scanguard.model.image import ResolvedImage
from scanguard.model.report import ScanReport

ScanOutcome = ScanReport | Ticket | ScanguardError


def after(
    task: ScanTask, outcome: ScanOutcome, now: datetime, limits: EngineLimits, *, was_unclear: bool = False
) -> ScanTask:
    """The task after a step; its lease is the caller's business.

    ``was_unclear`` says that nobody knew before the step whether an earlier submit had arrived.
    """
    if isinstance(outcome, ScanReport):
        return _done(task, outcome, now)
    if isinstance(outcome, Ticket):
        return task.model_copy(
            update={
                "state": TaskState.SUBMITTED,
                "ticket": dict(outcome.value),
                "ticket_not_before": outcome.not_before,
                "ticket_requests": outcome.requests,
                "not_before": max(outcome.not_before, now),
                "attempts": 0,
            }
        )
    return _after_error(task, outcome, now, limits, TaskState.INTENT if was_unclear else TaskState.PENDING)


def _after_error(
    task: ScanTask, error: ScanguardError, now: datetime, limits: EngineLimits, refused: TaskState
) -> ScanTask:
    noted = {"error": error.message, "error_kind": type(error).__name__}
    if isinstance(error, ScannerThrottledError | RegistryThrottledError):
        wait = limits.retry_at(now, 1, error.retry_after_s)
        left = task.deadline - now + wait  # the scan's own time stands still while it may not go on
        deadline = max(task.deadline, min(left, task.created_at + LONGEST))
        again = {**_again(task, refused), "not_before": min(wait, deadline), "deadline": deadline}
        return task.model_copy(update={**noted, **again})
    if _is_the_places_fault(error):
        sources = _with_failed(task.sources, task.source, error)
        fresh = {"state": TaskState.PENDING, "ticket": None, "sources": sources, "not_before": None}
        moved = task.model_copy(update={**noted, **fresh})
        return moved if moved.source is not None else _failed(moved, error, now, limits)
    attempts = task.attempts + 1
    overdue = isinstance(error, ScanTimeoutError) and now >= task.deadline
    if not error.is_retryable or attempts >= limits.attempts or overdue:
        return _failed(task.model_copy(update={**noted, "attempts": attempts}), error, now, limits)
    wait = min(limits.retry_at(now, attempts, error.retry_after_s), task.deadline)
    again = {**_again(task, TaskState.INTENT), "attempts": attempts, "not_before": wait}
    return task.model_copy(update={**noted, **again})


def _failed(task: ScanTask, error: ScanguardError, now: datetime, limits: EngineLimits) -> ScanTask:
    failures = task.failures + 1
    barred = limits.barred_until(now, failures, is_retryable=error.is_retryable)
    ended = {"state": TaskState.FAILED, "failed_at": now, "failures": failures, "barred_until": barred}
    return task.model_copy(update={**ended, "ticket": None, "not_before": None})


def report_name(task: ScanTask) -> str:
    """Where the report of this run, by the holder of this lease, is kept: two workers never write the same one."""
    return f"scans/{task.digest.replace(':', '-')}/{task.id}-{task.run}-{task.lease}.json"


def belonging(report: ScanReport, task: ScanTask) -> ScanReport:
    """A report about another image, or another platform, is not trusted as this one."""
    if report.digest != task.digest:
        raise ScannerOutputError(
            f"{task.instance} answered about {report.digest}, not about {task.digest}", plugin=task.instance
        )
    if str(report.platform) != str(task.platform):
        raise ScannerOutputError(
            f"{task.instance} looked at {report.platform}, not at {task.platform}", plugin=task.instance
        )
    return report


def _done(task: ScanTask, report: ScanReport, now: datetime) -> ScanTask:
    result = TaskResult(
        report=report_name(task), run=task.run, info=report.scanner, findings=len(report.findings), finished_at=now
    )
    cleared = {"ticket": None, "not_before": None, "failures": 0, "barred_until": None, "error": "", "error_kind": ""}
    return task.model_copy(update={"state": TaskState.DONE, "result": result, **cleared})


def _again(task: ScanTask, submit: TaskState) -> dict[str, object]:
    """Back to where the next step starts: polling when there is a ticket, else ``submit``.

    That is ``intent`` when the scan may have been accepted though no answer came: then it is looked for first.
    """
    return {"state": TaskState.SUBMITTED if task.ticket is not None else submit}


def due(task: ScanTask, rearm: datetime, *, slack: timedelta = timedelta(seconds=1)) -> datetime | None:
    """When somebody must look at the task again."""
    if task.state in TERMINAL_TASK:
        return None
    grace = rearm if task.not_before is None else max(rearm, task.not_before + slack)
    return grace


def _is_the_places_fault(error: ScanguardError) -> bool:
    """Whether another place that holds the same digest may do better."""
    if isinstance(error, ScanUnsupportedError):
        return False
    if isinstance(error, RegistryError):
        return not error.is_retryable
    return isinstance(error, ScanTargetNotFoundError)


def _with_failed(
    sources: tuple[SourceState, ...], failed: ResolvedImage | None, error: ScanguardError
) -> tuple[SourceState, ...]:
    return tuple(
        source.model_copy(update={"error": error.message, "error_kind": type(error).__name__})
        if failed is not None and source.image.source == failed.source
        else source
        for source in sources
    )


def phase(task: ScanTask) -> tuple[str, str]:
    """The phase of a task for people who watch, and a detail."""
    if task.state is TaskState.DONE:
        found = task.result.findings if task.result else 0
        return "done", f"{found} finding{'' if found == 1 else 's'}"
    if task.state is TaskState.FAILED:
        return "failed", task.error
    return "waiting", task.error
