"""Areas ``data`` and ``queue`` where a plugin keeps them: its ports are asked, and nothing is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Final

from scanguard.app.backend import opened_backend
from scanguard.doctor.check import Check, fail, ok
from scanguard.doctor.host import DoctorHost
from scanguard.doctor.queue_checks import judge_work, read_backlog
from scanguard.doctor.situation import Situation
from scanguard.errors import ScanguardError, SecretError
from scanguard.ports import Backend, RecordQuery

SUBJECT: Final = "backend"
_PROBE: Final = "doctor"
"""Nothing is stored under this name; asking for it shows whether reading is allowed."""
_REMEDY: Final = "do as the message says; the section `backend` of the configuration says where things are kept"


class Keeper(Enum):
    """Who keeps state and queue."""

    EMBEDDED = auto()
    PLUGIN = auto()
    UNUSABLE = auto()
    """A plugin, which is missing, broken, or does not accept its options."""


def keeper_of(situation: Situation) -> Keeper:
    """What the configuration says; one that cannot be read chooses nothing."""
    if situation.bound is not None and situation.bound.backend is not None:
        return Keeper.PLUGIN
    if situation.loaded is None or situation.loaded.document.data.get("backend") is None:
        return Keeper.EMBEDDED
    return Keeper.UNUSABLE


async def check_backend(make: Callable[[], DoctorHost], situation: Situation) -> list[Check]:
    """Read a row, a document and a verdict; whether they may be written, only work shows."""

    async def look(ports: Backend, name: str) -> list[Check]:
        await ports.state.get(_PROBE, _PROBE)
        await ports.reports.get(_PROBE)
        await ports.records.query(RecordQuery(limit=1))
        return [ok("data", SUBJECT, f"{name} answers: state, reports and records can be read (writing was not tried)")]

    return await _with_ports("data", SUBJECT, make, situation, look)


async def check_queue(make: Callable[[], DoctorHost], situation: Situation) -> list[Check]:
    """What waits, is overdue, was given up."""

    async def look(ports: Backend, name: str) -> list[Check]:
        return judge_work(await read_backlog(ports), tells_age=False)

    return await _with_ports("queue", "work", make, situation, look)


async def _with_ports(
    area: str,
    subject: str,
    make: Callable[[], DoctorHost],
    situation: Situation,
    look: Callable[[Backend, str], Awaitable[list[Check]]],
) -> list[Check]:
    if situation.bound is None or situation.bound.backend is None or situation.data_dir is None:
        return []
    host = make()
    try:
        async with opened_backend(situation.bound, host, situation.data_dir) as ports:
            return await look(ports, situation.bound.backend.spec.name)
    except ScanguardError as exc:
        remedy = "see the area `secrets`" if isinstance(exc, SecretError) else _REMEDY
        return [fail(area, subject, exc.message, remedy)]
    finally:
        await host.aclose()
