"""Results on a real Azurite: where they go, what is in them, what happens twice, late and at the same time."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import unquote

import pytest
from results_account import ResultsAccount, image, notice, unlooked
from scanguard_azure.results_keys import day_key, full_name, image_key

from scanguard.errors import SinkError
from scanguard.model.verdict import Outcome
from scanguard.render.stored import StoredResult
from scanguard.testing.samples import NOW, sample_verdict

pytestmark = pytest.mark.integration
WEB = "shop.example/web:1.4"


async def test_an_image_gets_a_blob_in_its_folder_and_a_row_that_points_there(
    account: ResultsAccount, tmp_path: Path
) -> None:
    sent = notice()
    async with account.sink(tmp_path) as sink:
        receipt = await sink.write(sent)
    row, blob = await account.one_of_each()
    folder = image_key(WEB)
    assert blob == f"{folder}/scan-20261123-115500-{sent.verdict.id}.json"
    assert receipt.reference == blob
    assert receipt.destination.endswith(f"/{account.name}")
    assert row["PartitionKey"] == folder
    assert row["ScannedAt"] == sent.verdict.decided_at
    assert (row["VulnCritical"], row["VulnTotal"], row["Status"]) == (2, 9, "COMPLETED")
    document, properties = await account.blob(blob)
    assert StoredResult.model_validate_json(document).verdict == sent.verdict
    assert properties.content_settings.content_type == "application/json"
    assert {name: unquote(value) for name, value in properties.metadata.items()} == {
        "image": WEB,
        "scan_id": sent.verdict.id,
        "timestamp": sent.verdict.decided_at.isoformat(),
        "container_type": "ACI",
        "revision": "1",
    }


async def test_documents_may_be_compressed(account: ResultsAccount, tmp_path: Path) -> None:
    async with account.sink(tmp_path, gzip=True) as sink:
        receipt = await sink.write(notice())
    document, properties = await account.blob(receipt.reference)
    assert properties.content_settings.content_encoding == "gzip"
    assert StoredResult.model_validate_json(document).image == WEB


async def test_an_image_that_nobody_looked_at_goes_to_the_errors(account: ResultsAccount, tmp_path: Path) -> None:
    async with account.sink(tmp_path) as sink:
        await sink.write(notice(unlooked()))
    row, blob = await account.one_of_each()
    assert blob.startswith(f"errors/{image_key(WEB)}-20261123-")
    assert row["Status"] == "FAILED"
    assert "VulnTotal" not in row


async def test_the_same_delivery_again_also_by_another_process_leaves_one_of_each(
    account: ResultsAccount, tmp_path: Path
) -> None:
    async with account.sink(tmp_path) as sink, account.sink(tmp_path) as other:
        first = await sink.write(notice())
        assert (await sink.write(notice())).reference == first.reference
        assert (await other.write(notice())).reference == first.reference
    await account.one_of_each()


async def test_every_image_of_a_deployment_and_every_deployment_has_its_own(
    account: ResultsAccount, tmp_path: Path
) -> None:
    async with account.sink(tmp_path) as sink:
        await sink.write(notice(image("acr.io/foo/bar:1"), image("acr.io/foo_bar:1")))
        await sink.write(notice(image("acr.io/foo/bar:1"), name="other"))
    assert len(await account.blobs()) == len(await account.rows()) == len(await account.rows(recent=True)) == 3


async def test_a_later_revision_replaces_and_an_older_one_that_comes_late_changes_nothing(
    account: ResultsAccount, tmp_path: Path
) -> None:
    old = notice(image(outcome=Outcome.WARN))
    new = notice(revision=2, decided_at=NOW.replace(day=25))
    async with account.sink(tmp_path) as sink, account.sink(tmp_path) as other:
        await sink.write(old)
        await sink.write(new)
        row, blob = await account.one_of_each()
        assert (row["Revision"], row["Verdict"]) == (2, "fail")
        assert (await account.rows(recent=True))[0]["PartitionKey"] == "20261125"
        assert (await other.write(old)).reference == blob
    assert (await account.one_of_each())[0]["Revision"] == 2
    document, _ = await account.blob(blob)
    assert StoredResult.model_validate_json(document).verdict.revision == 2


async def test_a_revision_with_a_report_leaves_nothing_among_the_errors(
    account: ResultsAccount, tmp_path: Path
) -> None:
    async with account.sink(tmp_path) as sink:
        await sink.write(notice(unlooked()))
        await sink.write(notice(revision=2))
        _, blob = await account.one_of_each()
        assert not blob.startswith("errors/")
        await sink.write(notice(unlooked()))
    await account.one_of_each()


async def test_a_replay_that_looked_again_later_takes_the_place_of_what_was(
    account: ResultsAccount, tmp_path: Path
) -> None:
    again = sample_verdict(images=[image()]).deployment.model_copy(update={"seen_at": NOW.replace(day=24)})
    async with account.sink(tmp_path) as sink:
        await sink.write(notice())
        await sink.write(notice(revision=2, deployment=again))
    row, blob = await account.one_of_each()
    assert row["Revision"] == 2
    assert "/scan-20261124-" in blob


async def test_revisions_that_are_written_at_the_same_time_leave_the_newest(
    account: ResultsAccount, tmp_path: Path
) -> None:
    revisions = [notice(revision=number, decided_at=NOW.replace(hour=number)) for number in range(1, 6)]
    revisions[1] = notice(unlooked(), revision=2)
    async with account.sink(tmp_path) as sink, account.sink(tmp_path) as other:
        await sink.write(notice(name="warm"))
        await other.write(notice(name="warm"))
        wrote = [sink.write(one) for one in revisions] + [other.write(one) for one in reversed(revisions)]
        done = await asyncio.gather(*wrote, return_exceptions=True)
        for one in revisions:  # as the engine does with those that were told to try again
            await sink.write(one)
    assert all(isinstance(one, SinkError) or not isinstance(one, BaseException) for one in done)
    ours = f"ScanId ne '{notice(name='warm').verdict.id}'"
    (row,), (recent,) = await account.rows(ours), await account.rows(ours, recent=True)
    assert row["Revision"] == recent["Revision"] == 5
    assert [name for name in await account.blobs() if row["ScanId"] in name] == [row["BlobPath"]]


HOSTILE = [
    "../../etc/passwd", "/a/b", "a#b?c\\d", "tab\there", "nul\x00", "\x85", "🐳" * 300, "é.example/ü:1", "x" * 5_000,
    "y/" * 200, "'", "%2f", "CON", " ",
]  # fmt: skip


async def test_hostile_names_are_kept_whole_and_apart(account: ResultsAccount, tmp_path: Path) -> None:
    async with account.sink(tmp_path) as sink:
        await sink.write(notice(*(image(name) for name in HOSTILE)))
    rows = {row["Image"]: row for row in await account.rows()}
    assert set(rows) == {full_name(name) for name in HOSTILE}
    assert sorted(row["BlobPath"] for row in rows.values()) == await account.blobs()
    for name, row in rows.items():
        _, properties = await account.blob(row["BlobPath"])
        assert unquote(properties.metadata["image"]) == name
        assert [found["Image"] for found in await account.rows("PartitionKey eq @image", image=image_key(name))] == [
            name
        ]


async def test_a_name_beyond_every_limit_is_cut_and_says_so(account: ResultsAccount, tmp_path: Path) -> None:
    async with account.sink(tmp_path) as sink:
        await sink.write(notice(image("🐳" * 40_000)))
    row, blob = await account.one_of_each()
    assert row["Truncated"] == "Image"
    assert row["Image"] == "🐳" * 8_000
    document, properties = await account.blob(blob)
    assert properties.metadata["truncated"] == "image"
    assert StoredResult.model_validate_json(document).image == "🐳" * 40_000


async def test_what_is_missing_is_named_with_what_to_do(account: ResultsAccount, tmp_path: Path) -> None:
    async with account.sink(tmp_path, create=False) as sink:
        with pytest.raises(SinkError) as caught:
            await sink.write(notice())
        assert f"table '{account.name}' is missing" in caught.value.message
        assert "create: true" in caught.value.message
        assert caught.value.is_retryable
        with pytest.raises(SinkError, match=f"container '{account.name}'"):
            await sink.check()
    async with account.sink(tmp_path) as maker:
        await maker.write(notice())
        await maker.check()


async def test_an_account_of_the_original_application_is_left_as_it_is(account: ResultsAccount, tmp_path: Path) -> None:
    """Rows with the scan's id for a key, and folders without a hash, stay beside ours."""
    async with account.sink(tmp_path) as sink:
        await sink.write(notice())
        before = await account.rows()
        await account.insert({"PartitionKey": "shop.example_web_1.4", "RowKey": "scan-1", "VulnCritical": 1})
        await sink.write(notice(revision=2))
    assert len(await account.rows()) == len(before) + 1


def test_a_day_is_in_universal_time() -> None:
    assert day_key(NOW) == "20261123"
