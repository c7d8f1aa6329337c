"""Whether an assessment can be judged, and what it still waits for."""

from __future__ import annotations

from collections.abc import Mapping

from scanguard.engine.documents import Assessment, ImageState, ScanTask
from scanguard.engine.plan import Plan
from scanguard.engine.tasks import Want


def answered(assessment: Assessment, tasks: Mapping[str, ScanTask], want: Want) -> int:
    """How many tasks have ended, as far as this assessment is concerned."""
    uses = {use.task: use for image in assessment.images for use in image.tasks}.values()
    return sum(use.task in tasks and want.is_met_by(tasks[use.task], use.run) for use in uses)


def unserved(assessment: Assessment, tasks: Mapping[str, ScanTask], want: Want) -> tuple[str, ...]:
    """Tasks without a report that this assessment would take."""
    uses = {use.task: use for image in assessment.images for use in image.tasks}
    served = {name for name, use in uses.items() if name in tasks and want.has_result(tasks[name], use.run)}
    return tuple(sorted(uses.keys() - served))


def is_ready(image: ImageState, plan: Plan, tasks: Mapping[str, ScanTask], want: Want) -> bool:
    """Whether nothing that could still change the verdict is under way."""
    if image.image is None:
        return True
    met = {use.instance: want.is_met_by(tasks[use.task], use.run) for use in image.tasks if use.task in tasks}
    stand_ins = [use for use in image.tasks if use.instance in plan.scanners and use.task in tasks]
    has_any = any(want.has_result(tasks[use.task], use.run) for use in stand_ins)
    main_ready = all(met.get(name, True) for name in plan.scanners) or (plan.require == "any" and has_any)
    served = any(
        want.has_result(tasks[use.task], use.run)
        for use in image.tasks
        if use.instance in plan.fallback and use.task in tasks
    )
    fallback_ready = served or all(met.get(name, True) for name in plan.fallback)
    return main_ready and fallback_ready and all(met.get(name, True) for name in plan.also)


def next_fallback(image: ImageState, plan: Plan, tasks: Mapping[str, ScanTask], want: Want) -> tuple[str, ...]:
    """The fallback scanner to start now: the one after the last, when that one failed or cannot answer in time."""
    if image.image is None or not plan.fallback:
        return ()
    started = [use for use in image.tasks if use.instance in plan.fallback]
    if not started or len(started) >= len(plan.fallback):
        return ()
    last = tasks.get(started[-1].task)
    run = started[-1].run
    if last is None or want.has_result(last, run):
        return ()
    if not want.has_failure(last, run) and not want.is_too_late(last):
        return ()
    return (plan.fallback[len(started)],)
