"""A store that an older version left in the middle of work is finished by this one."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from scanguard.backends import DATABASE_NAME, REPORTS_FOLDER, embedded
from scanguard.engine.engine import Engine
from scanguard.engine.messages import sweep_message
from scanguard.model.verdict import Outcome
from scanguard.ports import ALL_LANES, RecordQuery
from scanguard.testing.rig import Rig
from scanguard.testing.rig_host import RigHost, digest_of

STORED = Path(__file__).parent / "data" / "store-v1"
IMAGES = {
    "/done": "image:done",
    "/waiting": "image:slow",
    "/undelivered": "image:done2",
    "/begun": "image:begun",
    "/accepted": "image:new",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as database:
        database.executescript((STORED / "store.sql").read_text(encoding="utf-8"))
    for name, text in json.loads((STORED / "store.reports.json").read_text(encoding="utf-8")).items():
        path = tmp_path / REPORTS_FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


async def test_every_deployment_that_the_older_version_accepted_is_judged_and_told(folder: Path) -> None:
    rig = Rig()
    scanner = rig.scanners["one"]
    scanner.findings = ("CVE-1",)
    for resource, image in IMAGES.items():
        rig.deploy(resource, image)
    async with embedded(folder, rig.memory.clock) as backend:
        rows = await backend.state.overdue(rig.memory.clock.now() + timedelta(days=1))
        submitted = next(row.body["ticket"] for row in rows if row.body.get("ticket"))
        assert isinstance(submitted, dict)
        slow = rig.deployments["/waiting"].containers[0]
        resolved = await RigHost(rig).resolve(slow.image, None)
        scanner.tickets[str(submitted["key"])] = (digest_of(slow.image), resolved.platform)
        engine = Engine(backend, RigHost(rig))
        for _ in range(40):
            await backend.queue.send(await engine.handle(sweep_message()))
            while taken := await backend.queue.receive(ALL_LANES, limit=1, visibility_s=30):
                assert taken[0].message is not None
                await backend.queue.send(await engine.handle(taken[0].message))
                await backend.queue.ack(taken[0])
            rig.memory.clock.advance(60)
        verdicts = {verdict.event.resource_id: verdict for verdict in await backend.records.query(RecordQuery())}

    assert {resource: verdict.outcome for resource, verdict in verdicts.items()} == dict.fromkeys(IMAGES, Outcome.FAIL)
    told = {verdict.event.resource_id for verdict in rig.notifier.got.values()}
    assert told == set(IMAGES) - {"/done"}, "what the older version told is not told again"
    assert len(scanner.submitted) == 2, "the scan that was submitted is asked after, not submitted again"
