"""What the contract leaves open: sizes, long waits, every combination of questions, deaths while a verdict is saved."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from azurite import Azurite
from scanguard_azure.storage_idle import PATIENCE, PAUSE
from scanguard_azure.storage_messages import MAX_HIDDEN_S
from scanguard_azure.storage_records import StorageRecords
from scanguard_azure.storage_state import StorageState
from storage_rig import Account, Died, DyingTable, SharedClock, azurite_by

from scanguard.backends import embedded
from scanguard.model.reference import ImageReference
from scanguard.model.severity import Severity
from scanguard.model.verdict import Verdict
from scanguard.ports import Backend, Lane, Message, MessageKind, Outgoing, RecordQuery, Row
from scanguard.testing.contracts.bench import NOW
from scanguard.testing.contracts.ports_records import sample_judgement

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
WEEK_S = 7 * 24 * 3600


@pytest.fixture(scope="module")
def time_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("clock") / "now"
    SharedClock(file)
    return file


@pytest.fixture(scope="module")
def emulator(time_file: Path) -> Iterator[Azurite]:
    with azurite_by(time_file, time_file.parent) as where:
        yield where


@pytest.fixture
def clock(time_file: Path) -> SharedClock:
    return SharedClock(time_file)


@pytest.fixture
async def ports(emulator: Azurite, clock: SharedClock) -> AsyncIterator[Backend]:
    async with Account.new(emulator.connection_string).open(clock) as found:
        yield found


# --- state: sizes -------------------------------------------------------------------------------------------


def noise(length: int) -> str:
    """Text that does not get much smaller when it is compressed."""
    return random.Random(length).randbytes(length // 2).hex()  # noqa: S311  # a test's dice


@pytest.mark.parametrize("length", [10, 29_000, 40_000, 900_000, 3_000_000], ids=str)
async def test_a_body_of_any_size_is_kept_swapped_and_removed(ports: Backend, length: int) -> None:
    body = {"text": noise(length), "umlauts": "ä€𝄞\u0000\ud800" * 10}
    row = await ports.state.insert(Row("t", "p", "", body))
    assert await ports.state.get("t", "p") == row
    smaller = await ports.state.replace(row.with_({"n": 1}, NOW))
    assert await ports.state.get("t", "p") == smaller
    larger = await ports.state.replace(smaller.with_(body, None))
    assert [found.body for found in await ports.state.page("t", "p", after="", limit=5)] == []
    assert await ports.state.get("t", "p") == larger
    assert isinstance(ports.state, StorageState)
    await ports.state.delete(larger)
    assert await ports.state.get("t", "p") is None


async def test_a_partition_larger_than_a_page_is_read_whole_in_order(ports: Backend) -> None:
    keys = sorted(f"{'/#?%'[n % 4]}{n}é" for n in range(40))
    await asyncio.gather(*(ports.state.insert(Row("t", "a/b#c", key, {})) for key in keys))
    await ports.state.insert(Row("t", "a/b", "other", {}))
    found: list[str] = []
    while rows := await ports.state.page("t", "a/b#c", after=found[-1] if found else "", limit=7):
        assert {(row.table, row.partition) for row in rows} == {("t", "a/b#c")}
        found += [row.key for row in rows]
    assert found == keys


async def test_a_partition_with_a_very_long_name_is_found_and_says_its_name(ports: Backend) -> None:
    names = ["/subscriptions/" + "ü" * 600 + end for end in ("a", "b")]
    for name in names:
        await ports.state.insert(Row("head", name, "", {"of": name}, NOW))
    for name in names:
        found = await ports.state.get("head", name)
        assert found is not None
        assert (found.partition, found.body) == (name, {"of": name})
    assert {row.partition for row in await ports.state.overdue(NOW)} == set(names)


# --- queue: long waits, large messages, what is none of ours ----------------------------------------------------


async def test_a_message_for_next_month_is_never_handled_early(ports: Backend, clock: SharedClock) -> None:
    later = NOW + timedelta(days=17)
    message = Message(kind=MessageKind.SWEEP, id="x", body={"text": "x" * 60_000})
    await ports.queue.send([Outgoing(message, later)])
    for _ in range(2):
        clock.advance(WEEK_S)
        assert await ports.queue.receive([Lane.FRESH], limit=5, visibility_s=1) == []
        assert await ports.queue.next_visible([Lane.FRESH]) is not None
    clock.advance((later - clock.now()).total_seconds())
    (found,) = await ports.queue.receive([Lane.FRESH], limit=5, visibility_s=30)
    assert found.message == message
    await ports.queue.ack(found)
    assert await ports.queue.next_visible([Lane.FRESH]) is None


async def test_a_message_given_back_for_long_keeps_its_time(ports: Backend, clock: SharedClock) -> None:
    await ports.queue.send([Outgoing(Message(kind=MessageKind.SWEEP, id="x"))])
    (held,) = await ports.queue.receive([Lane.FRESH], limit=1, visibility_s=30)
    await ports.queue.release(held, NOW + timedelta(seconds=MAX_HIDDEN_S + 100))
    clock.advance(MAX_HIDDEN_S + 1)
    assert await ports.queue.receive([Lane.FRESH], limit=1, visibility_s=30) == []
    clock.advance(100)
    (again,) = await ports.queue.receive([Lane.FRESH], limit=1, visibility_s=30)
    assert again.message == held.message


async def test_more_than_one_request_gives_are_taken_when_asked_for(ports: Backend) -> None:
    await ports.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id=str(n))) for n in range(40)])
    taken = await ports.queue.receive([Lane.FRESH], limit=36, visibility_s=30)
    assert len({one.message.id for one in taken if one.message}) == 36


async def test_a_held_message_can_be_held_on_again_and_again(ports: Backend, clock: SharedClock) -> None:
    await ports.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="x"))])
    (held,) = await ports.queue.receive([Lane.FRESH], limit=1, visibility_s=30)
    for _ in range(4):
        clock.advance(20)
        await ports.queue.extend(held, 30)
        assert await ports.queue.receive([Lane.FRESH], limit=1, visibility_s=30) == []
    await ports.queue.ack(held)
    clock.advance(60)
    assert await ports.queue.next_visible([Lane.FRESH]) is None


@pytest.mark.parametrize("sent", ["not base64!", "bm8ganNvbg==", "e30="], ids=["text", "no JSON", "no message"])
async def test_what_is_no_message_is_delivered_as_such(emulator: Azurite, clock: SharedClock, sent: str) -> None:
    from azure.storage.queue.aio import QueueClient  # noqa: PLC0415  # a sender that is not ours

    account = Account.new(emulator.connection_string)
    async with account.open(clock) as ports:
        await ports.queue.depths()
        name = account.config.queue(Lane.FRESH)
        async with QueueClient.from_connection_string(emulator.connection_string, name) as foreign:
            await foreign.send_message(sent)
        (found,) = await ports.queue.receive([Lane.FRESH], limit=1, visibility_s=30)
        assert found.message is None
        assert found.raw
        await ports.queue.release(found, NOW + timedelta(days=30))


async def test_an_idle_worker_asks_less_often_and_takes_its_own_messages_at_once(
    ports: Backend, clock: SharedClock
) -> None:
    async def taken() -> list[str]:
        found = await ports.queue.receive([Lane.FRESH], limit=5, visibility_s=300)
        return [one.message.id for one in found if one.message]

    for _ in range(PATIENCE):
        assert await taken() == []
    await ports.queue.send([Outgoing(Message(kind=MessageKind.SCAN, id="own"))])
    assert await taken() == ["own"]
    for _ in range(PATIENCE):
        assert await taken() == []
    later = Outgoing(Message(kind=MessageKind.SCAN, id="later"), clock.now() + timedelta(seconds=1))
    await ports.queue.send([later])
    for _ in range(PATIENCE):
        assert await taken() == []
    clock.advance(1)
    assert await taken() == [], "it has been idle, and does not look yet"
    clock.advance(PAUSE.total_seconds())
    assert await taken() == ["later"]


# --- reports ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../x", "a\\b", "a?b#c", "é.json", "a/./b.", "x" * 3000, "a b%2F"])
@pytest.mark.parametrize(
    "data", [b"", b"\x1f\x8b" + bytes(20), bytes(5_000_000)], ids=["empty", "as if zipped", "large"]
)
async def test_any_document_is_kept_under_any_name(ports: Backend, name: str, data: bytes) -> None:
    await ports.reports.put(name, data)
    assert await ports.reports.get(name) == data
    assert await ports.reports.get(f"{name}x") is None


# --- records ------------------------------------------------------------------------------------------------


def some_verdict(chance: random.Random, number: int) -> Verdict:
    """One of few deployments and images, at one of few moments, so that everything meets everything."""
    image = chance.choice(["app:1", "app:2", "reg.test/shop/web:1", "reg.test/shop/web:2", "oci:/srv/image"])
    made = sample_judgement(
        f"{chance.choice('ab')}{chance.choice('ab')}{number % 40}",
        chance.choice(["/R/One", "/r/one", "/r/two"]),
        image,
        minute=chance.randrange(200),
        revision=chance.choice([1, 1, 1, 2, 3]),
        high=chance.choice([0, 0, 2]),
    )
    (one,) = made.images
    assert one.image is not None
    if ":/" not in image:
        reference = ImageReference.parse(image)
        named = {"reference": reference, "source": f"{reference.name}@{one.image.digest}"}
        one = one.model_copy(update={"image": one.image.model_copy(update=named)})
    if chance.random() < 0.15:
        one = one.model_copy(update={"image": None, "error": "not there"})
    return made.model_copy(update={"images": (one,)})


def questions(verdicts: list[Verdict]) -> Iterator[RecordQuery]:
    digest = next(one.images[0].image.digest for one in verdicts if one.images[0].image)
    images = [None, "app:1", "docker.io/library/app", "docker.io/library/app:2", "reg.test/shop/web", digest, "nobody"]
    for image, resource, since, severity, latest, limit in itertools.product(
        images, (None, "/R/ONE"), (None, NOW + timedelta(minutes=90)), (None, Severity.HIGH), (False, True), (50, 3)
    ):
        yield RecordQuery(image, resource, since, severity, limit=limit, latest_only=latest)
    for id in ("", "a", "ab", "ab1", "c"):
        yield RecordQuery(id=id)
    for vulnerability in ("cve-1", "CVE-2", "CVE-404"):
        yield RecordQuery(vulnerability=vulnerability)
        yield RecordQuery(vulnerability=vulnerability, severity=Severity.HIGH, limit=1)


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_question_is_answered_as_the_embedded_backend_does(
    ports: Backend, clock: SharedClock, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  # a test's dice
    verdicts = [some_verdict(chance, number) for number in range(60)]
    async with embedded(tmp_path, clock) as other:
        for verdict in verdicts:
            await ports.records.save(verdict)
            await other.records.save(verdict)
        digests = sorted({one.images[0].image.digest for one in verdicts if one.images[0].image})
        for number, digest in enumerate(digests):
            for ids in (["CVE-1", "CVE-3"], [f"CVE-{number % 3}"]):
                await ports.records.index(digest, ids)
                await other.records.index(digest, ids)
        for query in questions(verdicts):
            assert await ports.records.query(query) == await other.records.query(query), query
        for resource, id in itertools.product(("/r/one", "/R/TWO", "/r/three"), (verdicts[0].id, verdicts[1].id, "")):
            assert await ports.records.previous(resource, id) == await other.records.previous(resource, id)


@pytest.mark.parametrize("steps", range(6))
async def test_a_verdict_whose_saving_died_is_found_by_no_question_or_by_all(ports: Backend, steps: int) -> None:
    records = ports.records
    assert isinstance(records, StorageRecords)
    old = sample_judgement("old", "/r", "app:1")
    await records.save(old)
    table = DyingTable(records._table._clients, "Records")
    table.countdown = [steps]
    new = sample_judgement("new", "/r", "app:1", minute=5)
    try:
        await StorageRecords(table, records._bodies).save(new)
    except Died:
        expected = [old]
    else:
        expected = [new, old]
    for query in (RecordQuery(), RecordQuery(resource="/r"), RecordQuery(image="app:1")):
        assert await records.query(query) == expected
    assert await records.query(RecordQuery(latest_only=True)) == expected[:1]
    found = await records.previous("/r", "none")
    assert found == expected[0]
    await records.save(new)
    assert await records.query(RecordQuery(resource="/r")) == [new, old]


async def test_of_revisions_saved_at_once_the_highest_stays_and_is_found_once(ports: Backend) -> None:
    revisions = [sample_judgement("a", "/r", "app:1", minute=n, revision=n) for n in range(1, 7)]
    await asyncio.gather(*(ports.records.save(one) for one in revisions))
    for query in (RecordQuery(), RecordQuery(resource="/r"), RecordQuery(image="app:1"), RecordQuery(id="a")):
        assert [one.revision for one in await ports.records.query(query)] == [6]


async def test_a_verdict_of_many_images_and_megabytes_is_kept(ports: Backend) -> None:
    made = sample_judgement("a", "/r", "app:1")
    (image,) = made.images
    names = [f"reg.test/team/{n}/{noise(200)}:1" for n in range(120)]
    images = tuple(image.model_copy(update={"name": name, "error": noise(30_000)}) for name in names)
    large = made.model_copy(update={"images": images})
    await ports.records.save(large)
    assert await ports.records.query(RecordQuery(image=names[7])) == [large]
    assert await ports.records.query(RecordQuery(image="reg.test/nobody")) == []


async def test_a_long_list_of_vulnerabilities_leads_to_its_image(ports: Backend) -> None:
    made = sample_judgement("a", "/r", "app:1")
    assert made.images[0].image is not None
    await ports.records.save(made)
    ids = [f"CVE-2026-{n}" for n in range(1500)] + ["x/?#" * 200]
    await ports.records.index(made.images[0].image.digest, ids)
    for id in (ids[0], ids[1499], ids[1500]):
        assert await ports.records.query(RecordQuery(vulnerability=id)) == [made]
    assert await ports.records.query(RecordQuery(vulnerability="CVE-2026-15")) == [made]
    assert await ports.records.query(RecordQuery(vulnerability="CVE-2026-15000")) == []
