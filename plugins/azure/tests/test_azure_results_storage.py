"""Results on a real Azurite: where they go, what is in them, what happens twice, late and at the same time."""

from __future__ import annotations

from pathlib import Path

import pytest
from results_account import ResultsAccount, notice
from scanguard_azure.results_keys import image_key

from scanguard.render.stored import StoredResult

pytestmark = pytest.mark.integration


async def test_an_image_gets_a_blob_in_its_folder_and_a_row_that_points_there(
    account: ResultsAccount, tmp_path: Path
) -> None:
    sent = notice()
    async with account.sink(tmp_path) as sink:
        receipt = await sink.write(sent)
    (blob,) = await account.blobs()
    folder = image_key("shop.example/web:1.4")
    assert blob == f"{folder}/scan-20261123-115500-{sent.verdict.id}.json"
    assert receipt.reference == blob
    assert receipt.destination.endswith(f"/{account.name}")
    (row,) = await account.rows()
    assert row["PartitionKey"] == folder
    assert row["BlobPath"] == blob
    document, properties = await account.blob(blob)
    assert StoredResult.model_validate_json(document).verdict == sent.verdict
    assert properties.content_settings.content_type == "application/json"
