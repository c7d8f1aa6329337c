"""One soak, from an empty folder to what came of it."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scanguard.backends import DATABASE_NAME, embedded
from scanguard.engine.documents import assessment_id
from scanguard.model.deployment import Event
from scanguard.ports import Backend
from soaking.evidence import Evidence, gather, is_idle
from soaking.herd import Herd
from soaking.plan import Plan
from soaking.promises import Promise, check
from soaking.world import World, make_world

_LOOK_EVERY_S = 0.5
_COUNT_REDELIVERIES = """
CREATE TABLE soak_redelivery (id INTEGER);
CREATE TRIGGER soak_redelivered AFTER UPDATE OF delivered ON queue WHEN NEW.delivered > 1
BEGIN INSERT INTO soak_redelivery VALUES (NEW.id); END;
"""


@dataclass(frozen=True)
class Soaked:
    """What came of a soak; times are seconds since the first event was sent.

    ``redelivered`` is None where this version's queue does not let them be counted.
    """

    plan: Plan
    evidence: Evidence
    promises: Sequence[Promise]
    kills: int
    peak_rss_kib: int
    redelivered: int | None
    judged_s: float
    idle_s: float

    @property
    def is_kept(self) -> bool:
        """Whether every promise was."""
        return not any(promise.broken for promise in self.promises)


async def soak(plan: Plan, folder: Path) -> Soaked:
    """Run it. ``folder`` is made, or empty; everything stays there for whoever wants to know more."""
    world = await asyncio.to_thread(make_world, plan, folder)
    herd = Herd(world, random.Random(plan.seed + 2))
    async with embedded(world.data) as backend:
        await is_idle(backend)  # makes the file
        counts = await asyncio.to_thread(_count_redeliveries, world.data / DATABASE_NAME)
        started, began = datetime.now(UTC), time.monotonic()
        accepted: dict[str, str] = {}
        try:
            async with asyncio.timeout(plan.limit_s):
                await _work(world, herd, backend, accepted)
        except TimeoutError:
            herd.complaints.append(f"after {plan.limit_s:.0f} s there was still work: given up")
        finally:
            idle_s = time.monotonic() - began
            try:
                await herd.end()
            finally:
                await herd.bury()
        database = await asyncio.to_thread(_quick_check, world.data / DATABASE_NAME)
        evidence = await gather(world, backend, accepted, herd.complaints, database)
    decided = [verdict.decided_at for verdict in evidence.verdicts.values()]
    return Soaked(
        plan=plan,
        evidence=evidence,
        promises=check(evidence),
        kills=herd.kills,
        peak_rss_kib=herd.peak_rss_kib,
        redelivered=_redelivered(world.data / DATABASE_NAME) if counts else None,
        judged_s=(max(decided) - started).total_seconds() if decided else 0.0,
        idle_s=idle_s,
    )


async def _work(world: World, herd: Herd, backend: Backend, accepted: dict[str, str]) -> None:
    for _ in range(world.plan.workers):
        await herd.start()
    accepted.update(await _feed(world, 0))
    due = [asyncio.Event() for _ in world.plan.order()]
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_kill(world.plan, herd, due))
        tasks.create_task(_feed_the_rest(world, due, accepted))
    while not await is_idle(backend):
        await herd.look()
        await asyncio.sleep(_LOOK_EVERY_S)


async def _kill(plan: Plan, herd: Herd, due: Sequence[asyncio.Event]) -> None:
    """Kill until all kills are done; each batch of events is due when its share of them is."""
    while True:
        for batch, event in enumerate(due):
            if herd.kills >= plan.kills * batch // len(due):
                event.set()
        if herd.kills >= plan.kills:
            return
        await asyncio.sleep(plan.kill_every_s * herd.chance.uniform(0.1, 1.9))
        await herd.kill_one()


async def _feed_the_rest(world: World, due: Sequence[asyncio.Event], accepted: dict[str, str]) -> None:
    """Each batch in its time; at last the first one again, which must change nothing."""
    for batch in range(1, len(due)):
        await due[batch].wait()
        accepted.update(await _feed(world, batch))
    accepted.update(await _feed(world, 0))


async def _feed(world: World, batch: int) -> Mapping[str, str]:
    """Have a file of events accepted; the resource of each assessment that was acknowledged."""
    command = world.command("event", "--no-wait", "--format", "json", str(world.events(batch)))
    child = await asyncio.create_subprocess_exec(
        *command, env=world.environment(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"scanguard event ended with {child.returncode}: {err.decode(errors='replace')[-2000:]}")
    ids = set(json.loads(out)["accepted"])
    return {id: resource for id, resource in resources(world, batch).items() if id in ids}


def resources(world: World, batch: int) -> Mapping[str, str]:
    """The resource of each event of a batch, by the assessment that the event must become."""
    events = json.loads(world.events(batch).read_text())
    return {
        assessment_id(
            Event(
                id=event["id"],
                source=event["topic"],
                type=event["eventType"],
                resource_id=event["subject"],
                time=event["eventTime"],
            )
        ): event["subject"]
        for event in events
    }


def _quick_check(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        return "; ".join(str(row[0]) for row in database.execute("PRAGMA quick_check"))


def _count_redeliveries(path: Path) -> bool:
    """Have the database count messages that come again; False where its queue looks different."""
    with closing(sqlite3.connect(path)) as database:
        try:
            database.executescript(_COUNT_REDELIVERIES)
        except sqlite3.OperationalError:
            return False
        return True


def _redelivered(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT COUNT(*) FROM soak_redelivery").fetchone()[0])
