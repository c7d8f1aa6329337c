"""The whole examination: what to look at, side by side, in order, with nothing secret in the result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from scanguard.doctor.backend_checks import Keeper, check_backend, check_queue, keeper_of
from scanguard.doctor.check import AREAS, Check, Status, fail, skipped
from scanguard.doctor.clock_checks import judge_skew
from scanguard.doctor.configuration_checks import configuration_checks
from scanguard.doctor.crew import Crew, EndedError
from scanguard.doctor.database_checks import database_checks
from scanguard.doctor.environment_checks import environment_checks
from scanguard.doctor.folder_checks import check_file_system, check_space, check_writable
from scanguard.doctor.host import DoctorHost, Times, make_host, registries_of
from scanguard.doctor.object_checks import AREAS_BY_KIND, check_instance, check_store
from scanguard.doctor.plugin_checks import plugin_checks
from scanguard.doctor.question import Question
from scanguard.doctor.queue_checks import queue_checks
from scanguard.doctor.registry_checks import check_registry, named_registries
from scanguard.doctor.secret_checks import check_secret, secret_references
from scanguard.doctor.situation import Situation, find_backend, find_out, folder_of
from scanguard.errors import ScanguardError
from scanguard.telemetry.redact import redact
from scanguard.telemetry.secrets import hide

CHECK_TIMEOUT_S: Final = 20.0
_CLOCKS: Final = frozenset({"registries", "scanners"})
"""Areas whose servers tell the time."""
_FOREIGN: Final = frozenset({"registries", "scanners", "delivery", "platforms"})
"""Areas in which servers and plugins speak."""
_BY_THEMSELVES: Final = frozenset({"data", "queue"})
"""Areas that need no more of plugins and configuration than the backend."""

Work = Callable[[], Awaitable[Sequence[Check]]]


@dataclass(frozen=True, slots=True)
class Examination:
    """What came of it.

    Attributes:
        checks: In the order of the areas.
        is_everything_over: False when a check is still running somewhere and had to be left behind.
    """

    checks: tuple[Check, ...]
    is_everything_over: bool = True

    @property
    def status(self) -> Status:
        """The worst there is; what was skipped is no trouble."""
        found = {check.status for check in self.checks}
        return next((status for status in (Status.FAIL, Status.WARN) if status in found), Status.OK)


@dataclass(frozen=True, slots=True)
class _Task:
    """One check to run; ``feeds`` are areas that need it besides its own."""

    area: str
    subject: str
    work: Work
    feeds: frozenset[str] = frozenset()


async def examine(question: Question) -> Examination:
    """Look at everything that is asked for; never raises for what it finds."""
    crew = Crew(question.timeout_s)
    times = Times()

    async def carry_out(tasks: Iterable[_Task]) -> list[Check]:
        wanted = [task for task in tasks if question.areas & {task.area, *task.feeds}]
        groups = await asyncio.gather(*(_carried_out(crew, task) for task in wanted))
        return [check for group in groups for check in group]

    async def configured() -> list[Check]:
        look = find_backend if question.areas <= _BY_THEMSELVES else find_out
        situation = await look(question, crew)
        return [
            *_contained("plugins", plugin_checks, situation),
            *_contained("configuration", configuration_checks, situation),
            *_contained("environment", environment_checks, situation),
            *await carry_out([*_tasks(situation, times), *_backend_tasks(situation, times)]),
        ]

    data, rest = await asyncio.gather(carry_out(_folder_tasks(folder_of(question))), configured())
    is_over = await asyncio.to_thread(crew.dismiss)
    return Examination(_presented([*rest, *data, judge_skew(times.seen)], question.areas), is_over)


def _presented(checks: Iterable[Check], areas: frozenset[str]) -> tuple[Check, ...]:
    """In the order of the areas, and without anything secret."""
    shown = [_fenced(check) for check in checks if check.area in areas]
    return tuple(sorted(shown, key=lambda check: AREAS.index(check.area)))


def _fenced(check: Check) -> Check:
    """No value that was resolved; and where others wrote the text, nothing that looks like a credential."""
    clean = redact if check.area in _FOREIGN else hide
    return replace(check, subject=hide(check.subject), detail=clean(check.detail), remedy=hide(check.remedy))


def _contained(area: str, look: Callable[[Situation], Iterator[Check]], situation: Situation) -> list[Check]:
    checks: list[Check] = []
    try:
        checks.extend(look(situation))
    except Exception as exc:  # one broken check hides no other
        checks.append(_broken(area, "checks", exc))
    return checks


async def _carried_out(crew: Crew, task: _Task) -> Sequence[Check]:
    try:
        return await crew.run(task.work, CHECK_TIMEOUT_S)
    except TimeoutError:
        remedy = "look at what it waits for; --timeout gives all checks more time, --only AREA looks at this one alone"
        return [fail(task.area, task.subject, "it did not end in time", remedy)]
    except Exception as exc:  # one broken check hides no other
        return [_broken(task.area, task.subject, exc)]


def _broken(area: str, subject: str, exc: Exception) -> Check:
    if isinstance(exc, ScanguardError):
        return fail(area, subject, exc.message, "do as the message says")
    said = str(exc) if isinstance(exc, EndedError) else f"it raised {type(exc).__name__}"
    remedy = "this is a fault of scanguard or of the plugin named here: tell those who maintain it"
    return fail(area, subject, f"looking at it failed: {said}", remedy)


# --- what to look at --------------------------------------------------------------------------------------


def _tasks(situation: Situation, times: Times) -> Iterator[_Task]:
    if situation.bound is None or situation.plugins is None or situation.data_dir is None:
        why = situation.plugin_trouble or situation.reading_trouble or "the configuration cannot be read"
        for area in ("secrets", "registries", "scanners", "delivery", "platforms"):
            yield _Task(area, "all", partial(_answer, [skipped(area, "all", f"not looked at: {why}")]))
        return
    make = partial(make_host, situation, times)
    yield from _secret_tasks(situation, make)
    yield from _registry_tasks(situation, make)
    yield from _object_tasks(situation, make)


def _folder_tasks(folder: Path | None) -> Iterator[_Task]:
    if folder is None:
        remedy = "name one with --data-dir or $SCANGUARD_DATA_DIR"
        nowhere = [fail("data", "folder", "nobody says where it is, and this user has no home", remedy)]
        yield _Task("data", "folder", partial(_answer, nowhere))
        return

    async def writable() -> Sequence[Check]:
        return [check_writable(folder)]

    async def space() -> Sequence[Check]:
        return check_space(folder)

    async def file_system() -> Sequence[Check]:
        return [check_file_system(folder)]

    yield _Task("data", "folder", writable)
    yield _Task("data", "free space", space)
    yield _Task("data", "file system", file_system)


def _backend_tasks(situation: Situation, times: Times) -> Iterator[_Task]:
    """Where state and queue are: the database in the folder, or what the configuration chooses."""
    folder, keeper = situation.data_dir, keeper_of(situation)
    if folder is None:
        return
    feeds = frozenset({"clock"})
    if keeper is Keeper.EMBEDDED:

        async def database() -> Sequence[Check]:
            return database_checks(folder)

        yield _Task("data", "database", database)
        yield _Task("queue", "work", partial(queue_checks, folder), feeds)
        return
    if keeper is Keeper.UNUSABLE:
        for area, subject in (("data", "backend"), ("queue", "work")):
            why = "not looked at: the backend that is configured cannot be used; see `plugins` and `configuration`"
            yield _Task(area, subject, partial(_answer, [skipped(area, subject, why)]))
        return
    make = partial(make_host, situation, times)
    yield _Task("data", "backend", partial(check_backend, make, situation))
    yield _Task("queue", "work", partial(check_queue, make, situation), feeds)


def _secret_tasks(situation: Situation, make: Callable[[], DoctorHost]) -> Iterator[_Task]:
    references = secret_references(situation)
    for reference, paths in references.items():
        yield _Task("secrets", str(reference), partial(check_secret, make, reference, paths))
    for scheme in sorted({reference.scheme for reference in references}):
        yield _Task("secrets", f"store {scheme}", partial(check_store, make, scheme))
    if not references:
        none = [skipped("secrets", "all", "the configuration refers to none")]
        yield _Task("secrets", "all", partial(_answer, none))


def _registry_tasks(situation: Situation, make: Callable[[], DoctorHost]) -> Iterator[_Task]:
    asked = (*situation.question.registries, *situation.question.options.insecure_registries)
    names = named_registries(registries_of(situation), asked)
    for name in names:
        yield _Task("registries", name, partial(check_registry, make, name), frozenset({"clock"}))
    if not names:
        none = [skipped("registries", "all", "the configuration names none; --registry HOST looks at one")]
        yield _Task("registries", "all", partial(_answer, none))


def _object_tasks(situation: Situation, make: Callable[[], DoctorHost]) -> Iterator[_Task]:
    found: set[str] = set()
    for name, bound in situation.bound.instances.items() if situation.bound else ():
        for kind in bound.specs:
            area = AREAS_BY_KIND.get(kind)
            if area is None:  # secret stores and registry credentials have areas of their own
                continue
            found.add(area)
            feeds = frozenset({"clock"}) if area in _CLOCKS else frozenset()
            yield _Task(area, name, partial(check_instance, make, kind, bound), feeds)
    for area in dict.fromkeys(AREAS_BY_KIND.values()):
        if area not in found:
            yield _Task(area, "all", partial(_answer, [skipped(area, "all", "none is configured")]))


async def _answer(checks: Sequence[Check]) -> Sequence[Check]:
    return checks
