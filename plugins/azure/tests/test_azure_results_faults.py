"""Connections that are cut and answers that are lost, at every request: one blob, one row, one row of its day."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from azurite import Azurite
from cutting_proxy import CuttingProxy, Network
from fault_proxy import FaultProxy
from results_account import ResultsAccount, notice, unlooked

from scanguard.errors import SinkError
from scanguard.hooks import Notice
from scanguard.render.stored import StoredResult

pytestmark = pytest.mark.integration
REQUESTS = 6
"""More than a first delivery sends; a revision that moves a document sends up to ten."""


def ports_of(account: ResultsAccount) -> list[int]:
    """Of blobs, and of tables."""
    fields = dict(part.split("=", 1) for part in account.connection_string.split(";") if part)
    return [int(fields[f"{name}Endpoint"].rsplit("/", 1)[0].rpartition(":")[2]) for name in ("Blob", "Table")]


@asynccontextmanager
async def through(account: ResultsAccount, network: Network) -> AsyncIterator[ResultsAccount]:
    """The same place by way of proxies."""
    async with AsyncExitStack() as stack:
        blob, table = [await stack.enter_async_context(CuttingProxy(network, port)) for port in ports_of(account)]
        yield ResultsAccount(Azurite.through(blob.port, 1, table.port), account.name)


async def deliver(account: ResultsAccount, folder: Path, sent: Notice, **options: object) -> None:
    async with account.sink(folder, **options) as sink:
        await sink.write(sent)


async def attempt(account: ResultsAccount, folder: Path, sent: Notice, network: Network) -> SinkError | None:
    """Deliver over a network that dies; the error, or None when all was sent before."""
    async with through(account, network) as cut:
        try:
            await deliver(cut, folder, sent, create=False)
        except SinkError as exc:
            return exc
    return None


@pytest.mark.parametrize("request_number", range(REQUESTS))
async def test_a_worker_that_dies_after_any_request_is_followed_by_the_same_delivery(
    account: ResultsAccount, tmp_path: Path, request_number: int
) -> None:
    await account.create(tmp_path)
    network = Network(request_number)
    error = await attempt(account, tmp_path, notice(), network)
    if error is None:
        assert network.requests <= request_number
    else:
        assert error.is_retryable
        assert "does not answer" in error.message
    await deliver(account, tmp_path, notice(), create=False)
    await account.one_of_each()


@pytest.mark.parametrize("request_number", range(10))
async def test_a_worker_that_dies_while_it_replaces_a_revision_is_followed_too(
    account: ResultsAccount, tmp_path: Path, request_number: int
) -> None:
    await account.create(tmp_path)
    await deliver(account, tmp_path, notice(unlooked()))
    network = Network(request_number)
    error = await attempt(account, tmp_path, notice(revision=2), network)
    assert error is not None or network.requests <= request_number
    await deliver(account, tmp_path, notice(revision=2), create=False)
    row, blob = await account.one_of_each()
    assert row["Revision"] == 2
    assert "/scan-" in blob


@pytest.mark.parametrize(
    ("service", "mark"), [("Table", b"GET "), ("Blob", b"PUT "), ("Table", b"PUT "), ("Table", b"POST ")]
)
async def test_an_answer_that_is_lost_stores_nothing_twice(
    account: ResultsAccount, tmp_path: Path, service: str, mark: bytes
) -> None:
    await account.create(tmp_path)
    blob_port, table_port = ports_of(account)
    async with FaultProxy(blob_port) as blob, FaultProxy(table_port) as table:
        proxy = {"Blob": blob, "Table": table}[service]
        proxy.swallow(mark)
        cut = ResultsAccount(Azurite.through(blob.port, 1, table.port), account.name)
        try:
            await deliver(cut, tmp_path, notice(), create=False)
        except SinkError:  # Azure's library asks again for all but the insert of a row; the engine delivers again
            await deliver(cut, tmp_path, notice(), create=False)
        assert proxy.swallowed == 1
    await account.one_of_each()


async def test_an_older_revision_does_not_touch_the_document_of_a_newer_one_that_is_not_done(
    account: ResultsAccount, tmp_path: Path
) -> None:
    await account.create(tmp_path)
    assert await attempt(account, tmp_path, notice(revision=2), Network(2)) is not None
    (blob,) = await account.blobs()
    assert await account.rows() == []
    await deliver(account, tmp_path, notice(), create=False)
    document, _ = await account.blob(blob)
    assert StoredResult.model_validate_json(document).verdict.revision == 2
    await deliver(account, tmp_path, notice(revision=2), create=False)
    row, _ = await account.one_of_each()
    assert row["Revision"] == 2
