"""Both backends keep the contract of the ports."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from scanguard.backends import embedded
from scanguard.backends.sqlite import Database
from scanguard.errors import BackendError, ConflictError
from scanguard.model.deployment import Container, Deployment, Event
from scanguard.model.image import Platform, ResolvedImage
from scanguard.model.severity import Severity
from scanguard.model.verdict import ChainChoice, ImageVerdict, Outcome, Verdict
from scanguard.ports import Backend, Lane, Message, MessageKind, Outgoing, RecordQuery, Row
from scanguard.testing.memory import ManualClock, MemoryBackend

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Bench:
    ports: Backend
    clock: ManualClock


@pytest.fixture(params=["memory", "sqlite"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    clock = ManualClock(NOW)
    if request.param == "memory":
        yield Bench(MemoryBackend(clock).backend(), clock)
        return
    async with embedded(tmp_path, clock) as ports:
        yield Bench(ports, clock)


def row(key: str = "", *, partition: str = "p", due: datetime | None = None) -> Row:
    return Row("t", partition, key, {"n": 1, "text": "é\u0000"}, due)


async def test_a_row_is_read_as_it_was_written(bench: Bench) -> None:
    written = await bench.ports.state.insert(row(due=NOW))
    assert await bench.ports.state.get("t", "p") == written
    assert await bench.ports.state.get("t", "other") is None


async def test_a_row_is_created_once_and_replaced_only_at_the_version_read(bench: Bench) -> None:
    state = bench.ports.state
    first = await state.insert(row())
    with pytest.raises(ConflictError):
        await state.insert(row())
    second = await state.replace(first.with_({"n": 2}, None))
    with pytest.raises(ConflictError):
        await state.replace(first.with_({"n": 3}, None))
    await state.delete(first)
    assert await state.get("t", "p") == second
    await state.delete(second)
    with pytest.raises(ConflictError):
        await state.replace(second)


async def test_keys_that_look_alike_never_meet(bench: Bench) -> None:
    for partition, key in (("a/b", "c"), ("a", "b/c"), ("A/B", "c"), ("a_b", "c"), ("", "a/bc")):
        await bench.ports.state.insert(replace(row(key, partition=partition), body={"at": [partition, key]}))
    for partition, key in (("a/b", "c"), ("a", "b/c"), ("A/B", "c"), ("a_b", "c"), ("", "a/bc")):
        found = await bench.ports.state.get("t", partition, key)
        assert found is not None
        assert found.body == {"at": [partition, key]}


async def test_a_partition_is_paged_in_key_order(bench: Bench) -> None:
    for key in ("c", "a", "b"):
        await bench.ports.state.insert(row(key))
    first = await bench.ports.state.page("t", "p", limit=2)
    rest = await bench.ports.state.page("t", "p", after=first[-1].key, limit=2)
    assert [r.key for r in (*first, *rest)] == ["a", "b", "c"]


async def test_overdue_rows_come_oldest_first_and_terminal_ones_never(bench: Bench) -> None:
    for key, due in (("late", NOW), ("later", NOW - timedelta(days=1)), ("soon", NOW + timedelta(seconds=1))):
        await bench.ports.state.insert(row(key, due=due))
    await bench.ports.state.insert(row("terminal"))
    assert [r.key for r in await bench.ports.state.overdue(NOW)] == ["later", "late"]


async def test_a_message_is_hidden_while_held_and_comes_again_until_it_is_acknowledged(bench: Bench) -> None:
    queue = bench.ports.queue
    await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x"))])
    (first,) = await queue.receive([Lane.FRESH], limit=5, visibility_s=30)
    assert await queue.receive([Lane.FRESH], limit=5, visibility_s=30) == []
    bench.clock.advance(31)
    (second,) = await queue.receive([Lane.FRESH], limit=5, visibility_s=30)
    assert (first.delivered, second.delivered) == (1, 2)
    await queue.ack(first)  # lost to the second receiver: nothing happens
    with pytest.raises(ConflictError):
        await queue.extend(first, 30)
    await queue.extend(second, 60)
    bench.clock.advance(45)
    assert await queue.receive([Lane.FRESH], limit=5, visibility_s=30) == []
    await queue.ack(second)
    bench.clock.advance(60)
    assert await queue.receive([Lane.FRESH], limit=5, visibility_s=30) == []
    assert await queue.next_visible([Lane.FRESH]) is None


async def test_a_message_is_not_seen_before_its_time_and_lanes_are_taken_in_order(bench: Bench) -> None:
    queue = bench.ports.queue
    later = NOW + timedelta(hours=1)
    await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="later"), later)])
    await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="bulk", lane=Lane.BULK))])
    await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="fresh"))])
    assert await queue.next_visible([Lane.FRESH]) == NOW
    taken = await queue.receive([Lane.FRESH, Lane.BULK], limit=10, visibility_s=30)
    assert [d.message.id for d in taken if d.message] == ["fresh", "bulk"]
    bench.clock.advance(3600)
    assert "later" in [d.message.id for d in await queue.receive([Lane.FRESH], limit=9, visibility_s=1) if d.message]


async def test_only_the_messages_that_are_taken_are_hidden(bench: Bench) -> None:
    queue = bench.ports.queue
    await queue.send([Outgoing(Message(kind=MessageKind.SCAN, id=str(n))) for n in range(3)])
    seen = [await queue.receive([Lane.FRESH], limit=1, visibility_s=30) for _ in range(4)]
    assert [len(taken) for taken in seen] == [1, 1, 1, 0]


async def test_a_released_message_comes_again_untouched(bench: Bench) -> None:
    await bench.ports.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x", body={"a": 1}))])
    (held,) = await bench.ports.queue.receive([Lane.FRESH], limit=1, visibility_s=600)
    await bench.ports.queue.release(held, NOW + timedelta(seconds=5))
    assert await bench.ports.queue.receive([Lane.FRESH], limit=1, visibility_s=1) == []
    bench.clock.advance(5)
    (again,) = await bench.ports.queue.receive([Lane.FRESH], limit=1, visibility_s=1)
    assert again.message == held.message


async def test_documents_are_stored_whole_and_replaced(bench: Bench) -> None:
    reports = bench.ports.reports
    assert await reports.get("scans/a/b.json") is None
    await reports.put("scans/a/b.json", b"1")
    await reports.put("scans/a/b.json", b"22")
    assert await reports.get("scans/a/b.json") == b"22"


def verdict(name: str, resource: str, image: str, *, minute: int = 0, revision: int = 1, high: int = 0) -> Verdict:
    at = NOW + timedelta(minutes=minute)
    digest = "sha256:" + f"{sum(image.encode()):x}".rjust(64, "0")
    resolved = ResolvedImage(
        name=image, source=f"oci:{image}", reference=None, digest=digest, platform=Platform(), resolved_at=at
    )
    return Verdict(
        id=name,
        revision=revision,
        outcome=Outcome.FAIL if high else Outcome.PASS,
        deployment=Deployment(
            resource_id=resource, kind="image", name="n", containers=(Container(name="c", image=image),), seen_at=at
        ),
        event=Event(id=name, source="s", type="t", resource_id=resource, time=at),
        chain=ChainChoice(name="default"),
        images=(
            ImageVerdict(
                container="c",
                name=image,
                image=resolved,
                counts={Severity.HIGH: high, Severity.LOW: 1},
                outcome=Outcome.PASS,
            ),
        ),
        decided_at=at,
    )


async def test_verdicts_are_found_by_id_image_resource_time_and_severity(bench: Bench) -> None:
    records = bench.ports.records
    for one in (
        verdict("aa", "/R", "app:1"),
        verdict("ab", "/r", "app:2", minute=1, high=2),
        verdict("b", "/q", "app:1", minute=2),
    ):
        await records.save(one)

    async def ids(**query: object) -> list[str]:
        return [v.id for v in await records.query(RecordQuery(**query))]  # type: ignore[arg-type]  # any field

    assert await ids() == ["b", "ab", "aa"]
    assert await ids(id="a") == ["ab", "aa"]
    assert await ids(resource="/r") == ["ab", "aa"]
    assert await ids(resource="/r", latest_only=True) == ["ab"]
    assert await ids(image="app:1") == ["b", "aa"]
    assert await ids(image="oci:app:2") == ["ab"]
    assert await ids(since=NOW + timedelta(minutes=1)) == ["b", "ab"]
    assert await ids(severity=Severity.HIGH) == ["ab"]
    assert await ids(severity=Severity.LOW) == ["b", "ab", "aa"]
    assert await ids(limit=1) == ["b"]
    previous = await records.previous("/R", "ab")
    assert previous is not None
    assert previous.id == "aa"
    assert await records.previous("/q", "b") is None


async def test_a_lower_revision_never_hides_a_higher_one(bench: Bench) -> None:
    await bench.ports.records.save(verdict("a", "/r", "app:1", revision=2, high=1))
    await bench.ports.records.save(verdict("a", "/r", "app:1", revision=1))
    (stored,) = await bench.ports.records.query(RecordQuery(id="a"))
    assert stored.revision == 2
    assert stored.outcome is Outcome.FAIL


async def test_a_vulnerability_finds_only_deployments_whose_latest_image_has_it(bench: Bench) -> None:
    records = bench.ports.records
    old, new, other = verdict("a", "/r", "v1"), verdict("b", "/r", "v2", minute=1), verdict("c", "/o", "v1")
    for one in (old, new, other):
        await records.save(one)
    assert old.images[0].image is not None
    await records.index(old.images[0].image.digest, ["CVE-1", "GHSA-abcd"])
    assert [v.id for v in await records.query(RecordQuery(vulnerability="ghsa-ABCD"))] == ["c"]
    await records.index(old.images[0].image.digest, [])
    assert await records.query(RecordQuery(vulnerability="CVE-1")) == []


# --- the file itself ----------------------------------------------------------------------------------------


async def _count_up(folder: Path, times: int) -> None:
    async with embedded(folder) as ports:
        for _ in range(times):
            while True:
                found = await ports.state.get("t", "p")
                assert found is not None
                try:
                    await ports.state.replace(found.with_({"n": int(str(found.body["n"])) + 1}, None))
                    break
                except ConflictError:
                    continue


def _process(folder: str, times: int) -> None:
    asyncio.run(_count_up(Path(folder), times))


async def test_several_processes_share_one_file_without_losing_an_update(tmp_path: Path) -> None:
    async with embedded(tmp_path) as ports:
        await ports.state.insert(Row("t", "p", "", {"n": 0}))
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_process, args=(str(tmp_path), 25)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join, 50)
        assert process.exitcode == 0
    async with embedded(tmp_path) as ports:
        found = await ports.state.get("t", "p")
    assert found is not None
    assert found.body == {"n": 75}


async def test_many_calls_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    async with embedded(tmp_path) as ports:

        async def go(number: int) -> None:
            for step in range(40):
                await ports.state.insert(row(f"{number}-{step}"))
                await ports.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id=f"{number}-{step}"))])
                for held in await ports.queue.receive([Lane.FRESH], limit=1, visibility_s=60):
                    await ports.queue.ack(held)

        await asyncio.gather(*(go(number) for number in range(16)))
        assert len(await ports.state.page("t", "p", limit=1000)) == 640
        assert await ports.queue.next_visible([Lane.FRESH]) is None


async def test_no_cursor_leaves_the_thread_that_owns_the_file(tmp_path: Path) -> None:
    """Collected in another thread, a cursor resets a statement in use: "bad parameter or other API misuse"."""
    database = Database(tmp_path / "a.db")
    cursor = await database.write(lambda db: db.execute("CREATE TABLE t (a)"))
    with pytest.raises(sqlite3.ProgrammingError, match="closed cursor"):
        cursor.fetchone()
    await database.aclose()


async def test_a_damaged_file_is_a_typed_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "scanguard.db").write_bytes(b"this is no database" * 1000)
    async with embedded(tmp_path) as ports:
        with pytest.raises(BackendError, match="move it away or restore"):
            await ports.state.get("t", "p")


async def test_a_file_of_a_newer_scanguard_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "scanguard.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    async with embedded(tmp_path) as ports:
        with pytest.raises(BackendError, match="newer scanguard"):
            await ports.state.get("t", "p")


async def test_a_folder_that_may_not_be_used_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with embedded(tmp_path / "file") as ports:
        with pytest.raises(BackendError, match="--data-dir"):
            await ports.state.get("t", "p")
        with pytest.raises(BackendError):
            await ports.reports.put("a", b"")
