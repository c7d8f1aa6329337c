"""A small soak on Azure's parts: workers and functions are killed while their storage fails, and nothing is lost."""

from __future__ import annotations

import asyncio

import pytest
from azure_soaking.network import ANY, DoublingProxy
from azure_soaking.plan import AzurePlan
from azure_soaking.promises import Results, check_azure
from azure_soaking.run import Hardships, azure_soak
from azure_soaking.table import azure_table
from soaking.run import Soaked

from scanguard.model.verdict import Outcome

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(420)]

PLAN = AzurePlan(deployments=40, digests=8, shared=8, kills=3, disturb_every_s=2.0, limit_s=300.0)


@pytest.fixture(scope="module")
def soaked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Soaked, Hardships]:
    return asyncio.run(azure_soak(PLAN, tmp_path_factory.mktemp("azure-soak")))


def test_nothing_is_lost_or_wrong_when_workers_functions_and_storage_fail(soaked: tuple[Soaked, Hardships]) -> None:
    result, hardships = soaked
    assert result.is_kept, azure_table(result, hardships)
    assert len(result.evidence.verdicts) == PLAN.deployments


def test_the_soak_meets_what_it_is_for(soaked: tuple[Soaked, Hardships]) -> None:
    result, hardships = soaked
    assert result.kills + hardships.function_kills == PLAN.kills
    assert hardships.restarts == PLAN.restarts
    assert hardships.cuts
    assert hardships.swallowed
    assert hardships.doubled > PLAN.deployments
    assert hardships.acknowledged
    assert hardships.function_calls > hardships.function_failures
    assert hardships.arm[429] + hardships.arm[503] > 0
    assert {verdict.outcome for verdict in result.evidence.verdicts.values()} >= {Outcome.FAIL}


@pytest.mark.parametrize(
    ("results", "promise"),
    [
        pytest.param(Results((), {}), "rows tell every verdict", id="no rows"),
        pytest.param(
            Results(({"ScanId": "a stranger", "Digest": "sha256:0", "Verdict": "fail"},), {}),
            "rows tell every verdict",
            id="a row of nobody",
        ),
        pytest.param(Results((), {"scanguard-fresh-poison": 1}), "nothing is put aside", id="a poisoned message"),
    ],
)
def test_a_broken_promise_is_seen(soaked: tuple[Soaked, Hardships], results: Results, promise: str) -> None:
    broken = {one.name for one in check_azure(soaked[0].evidence, results) if one.broken}
    assert promise in broken


async def test_a_message_that_is_put_in_is_put_in_twice_and_nothing_else_is() -> None:
    arrived: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            arrived.append(head.partition(b" HTTP")[0] + b" " + await reader.readexactly(size))
            writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()

    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    server = await asyncio.start_server(quiet, "127.0.0.1", 0)
    async with server, DoublingProxy(server.sockets[0].getsockname()[1]) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        for request in (b"POST /account/queue/messages?x=1", b"PUT /account/queue/messages/1?x=1", b"GET /account?x=1"):
            body = b"hello" if request.startswith(b"POST") else b""
            writer.write(request + ANY + b"Content-Length: %d\r\n\r\n" % len(body))
            await writer.drain()
            await asyncio.sleep(0.02)  # head and body come in pieces
            writer.write(body)
            assert b"201" in await reader.readuntil(b"\r\n\r\n")
        while not proxy.doubled:  # noqa: ASYNC110  # a number tells, not an event
            await asyncio.sleep(0.01)
        writer.close()
    assert sorted(arrived) == [
        b"GET /account?x=1 ", b"POST /account/queue/messages?x=1 hello", b"POST /account/queue/messages?x=1 hello",
        b"PUT /account/queue/messages/1?x=1 ",
    ]  # fmt: skip
