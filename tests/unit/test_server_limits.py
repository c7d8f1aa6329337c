"""What a hostile client cannot do to the service: too large, too slow, too many, too odd."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest
import uvicorn
from serving import JSON, KEY, Serving, body, event, keys, serving
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from scanguard.server.limits import MAX_CLIENTS, Bucket, RateLimits, Slots
from scanguard.server.problems import RequestRefusedError
from scanguard.server.protocol import guarded_protocol

HEAD = "POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
LIMIT = 2048


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def still_serves(server: Serving) -> bool:
    answer = await server.client.post("/events", content=body(event("after")), headers=JSON)
    return answer.status_code == 200


@pytest.mark.parametrize(
    ("head", "sent"),
    [
        pytest.param(f"Content-Length: {LIMIT + 1}\r\n\r\n", b"", id="announced, not even sent"),
        pytest.param(f"Content-Length: {10**18}\r\n\r\n", b"", id="announced absurdly"),
        pytest.param(f"Content-Length: {9 * LIMIT}\r\n\r\n", b" " * 9 * LIMIT, id="announced and sent"),
        pytest.param("Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b" " * 4096 + b"\r\n0\r\n\r\n", id="chunked"),
        pytest.param("Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * (LIMIT + 1), id="many small chunks"),
    ],
)
async def test_a_body_that_is_too_large_is_refused_however_it_comes(tmp_path: Path, head: str, sent: bytes) -> None:
    async with serving(tmp_path, max_body_bytes=LIMIT, header_timeout_s=0.5) as server:
        answer = await server.send((HEAD + head).encode() + sent)

        assert status(answer) == 413
        assert await still_serves(server)


async def test_a_body_of_exactly_the_limit_is_taken(tmp_path: Path) -> None:
    content = body(event("a"))
    async with serving(tmp_path, max_body_bytes=LIMIT) as server:
        fits = await server.client.post("/events", content=content.ljust(LIMIT), headers=JSON)
        over = await server.client.post("/events", content=content.ljust(LIMIT + 1), headers=JSON)

        assert (fits.status_code, over.status_code) == (200, 413)


async def test_a_body_that_never_ends_is_not_read_for_ever(tmp_path: Path) -> None:
    async with serving(tmp_path, max_body_bytes=LIMIT, header_timeout_s=0.3) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write((HEAD + "Transfer-Encoding: chunked\r\n\r\n").encode())

        async def go_on() -> None:
            while True:
                writer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(go_on(), 5)
        writer.close()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param((HEAD + "Content-Length: 100\r\n\r\n[").encode(), 408, id="a body that stops"),
        pytest.param((HEAD + "Transfer-Encoding: chunked\r\n\r\n5\r\n[").encode(), 408, id="a chunk that stops"),
        pytest.param(HEAD.encode(), None, id="a head that stops"),
        pytest.param(b"", None, id="nothing at all"),
    ],
)
async def test_a_client_that_is_slow_is_let_go(tmp_path: Path, sent: bytes, expected: int | None) -> None:
    async with serving(tmp_path, header_timeout_s=0.3, body_timeout_s=0.3) as server:
        started = time.monotonic()
        answer = await server.send(sent)

        assert time.monotonic() - started < 1.5
        assert (status(answer) if answer else None) == expected
        assert await still_serves(server)


async def test_a_second_request_on_a_connection_may_not_dawdle_either(tmp_path: Path) -> None:
    async with serving(tmp_path, header_timeout_s=0.3) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status(await reader.readuntil(b"\r\n\r\n")) == 200
        started = time.monotonic()
        try:
            while time.monotonic() - started < 5 and not reader.at_eof():
                writer.write(b"G")
                await writer.drain()
                async with asyncio.timeout(0.1):
                    await reader.read(1000)
        except (TimeoutError, ConnectionError):
            pass
        async with asyncio.timeout(2):
            while not reader.at_eof():
                try:
                    await reader.read(1000)
                except ConnectionError:
                    break
        assert time.monotonic() - started < 2
        writer.close()


async def test_a_body_that_stops_is_let_go_after_one_that_came_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, body_timeout_s=0.3) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        whole = HEAD + "Content-Length: 2\r\n\r\n[]"
        writer.write(whole.encode())
        assert status(await reader.readuntil(b"}")) == 200
        writer.write(whole.encode()[:-1])

        async with asyncio.timeout(2):
            assert status(await reader.readuntil(b"}")) == 408
        writer.close()


async def test_a_body_may_come_after_its_head(tmp_path: Path) -> None:
    sent = body(event("a"))
    async with serving(tmp_path) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"{HEAD}Content-Length: {len(sent)}\r\n\r\n".encode())
        for part in (sent[:10], sent[10:]):
            await asyncio.sleep(0.05)  # long enough for what was sent to be read by itself
            writer.write(part)

        assert status(await reader.readuntil(b"}")) == 200
        assert await server.accepted() == ["a"]
        writer.close()


class Recorder(asyncio.Transport):
    """What is written to a connection, piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_over = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if data:  # as the real ones, which do nothing for nothing
            self.written.append(bytes(data))

    def close(self) -> None:
        self.is_over.set()

    def is_closing(self) -> bool:
        return self.is_over.is_set()


async def test_an_answer_is_written_at_once() -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    config = uvicorn.Config(answer, lifespan="off", log_config=None)
    connection = guarded_protocol(10, 10.0)(config, ServerState(), {})
    recorder = Recorder()
    connection.connection_made(recorder)
    connection.data_received(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(5):
        await recorder.is_over.wait()
    connection.connection_lost(None)

    (written,) = recorder.written
    assert status(written) == 200
    assert written.endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 600, id="TLS"),
        pytest.param(b"GET\r\n\r\n", id="no request line"),
        pytest.param(HEAD.encode() + b"Content-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(HEAD.encode() + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n[]", id="two lengths"),
        pytest.param(HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", id="a chunk of no size"),
        pytest.param(HEAD.encode() + b"Content-Length: 90\r\n\r\n[", id="cut off"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(HEAD.encode() + b"X: a\0b\r\n\r\n", id="a zero in a header"),
    ],
)
async def test_what_is_no_http_hurts_nobody(tmp_path: Path, sent: bytes) -> None:
    async with serving(tmp_path) as server:
        answer = await server.send(sent, end=True)

        assert not answer or 400 <= status(answer) < 500
        assert await server.accepted() == []
        assert await still_serves(server)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param({"X-Long": "x" * 5000}, id="one long header"),
        pytest.param({f"X-{number}": "y" * 20 for number in range(300)}, id="many headers"),
    ],
)
async def test_a_head_that_is_too_long_is_refused(tmp_path: Path, head: dict[str, str]) -> None:
    async with serving(tmp_path, max_header_bytes=4096) as server:
        answer = await server.client.post("/events", content=body(event("a")), headers={**JSON, **head})

        assert answer.status_code in (400, 431)
        assert await server.accepted() == []


async def test_more_connections_than_allowed_are_closed_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, max_connections=3) as server:
        kept = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            async with asyncio.timeout(1):
                assert await reader.read(10) == b""
        except ConnectionError:
            pass
        for _, one in [*kept, (reader, writer)]:
            one.close()
        await asyncio.sleep(0.05)
        assert await still_serves(server)


async def test_a_client_that_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with serving(tmp_path, client_rate_per_s=1) as server:
        answers = [await server.client.get("/nowhere") for _ in range(5)]

        assert [answer.status_code for answer in answers[:2]] == [404, 404]
        assert {answer.status_code for answer in answers[2:]} == {429}
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert answers[-1].json()["type"] == "urn:scanguard:problem:rate-limited"
        assert (await server.client.get("/healthz")).status_code == 200


async def test_strangers_use_up_nothing_of_what_everybody_shares(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=keys(tmp_path), rate_per_s=1) as server:
        for _ in range(10):
            assert (await server.client.post("/events", content=b"[]", headers=JSON)).status_code == 401
        headers = {**JSON, "aeg-sas-key": KEY}
        known = [await server.client.post("/events", content=b"[]", headers=headers) for _ in range(4)]

        assert [answer.status_code for answer in known] == [200, 200, 429, 429]


async def test_a_proxy_is_believed_only_where_it_is_trusted(tmp_path: Path) -> None:
    async def asked(server: Serving) -> list[int]:
        return [
            (await server.client.get("/nowhere", headers={"X-Forwarded-For": f"192.0.2.{number}"})).status_code
            for number in range(4)
        ]

    async with serving(tmp_path, client_rate_per_s=1) as server:
        assert await asked(server) == [404, 404, 429, 429]
    async with serving(tmp_path, client_rate_per_s=1, trusted_proxies=["127.0.0.0/8"]) as server:
        assert await asked(server) == [404, 404, 404, 404]


async def test_more_requests_at_once_than_allowed_are_told_to_come_again(tmp_path: Path) -> None:
    async with serving(tmp_path, max_concurrent=1, body_timeout_s=5) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write((HEAD + "Content-Length: 2\r\n\r\n[").encode())
        await asyncio.sleep(0.1)
        answer = await server.client.post("/events", content=b"[]", headers=JSON)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1

        writer.write(b"]")
        await asyncio.sleep(0.1)
        writer.close()
        assert await still_serves(server)


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        pytest.param("GET", "/events", 405, id="another method"),
        pytest.param("PUT", "/healthz", 405, id="a method nothing has"),
        pytest.param("GET", "/", 404, id="the root"),
        pytest.param("GET", "/healthz/../../etc/passwd", 404, id="a path upwards"),
        pytest.param("GET", "/%00", 404, id="a zero"),
    ],
)
async def test_what_is_not_there_is_said_as_a_problem(tmp_path: Path, method: str, path: str, expected: int) -> None:
    async with serving(tmp_path) as server:
        answer = await server.client.request(method, path)

        assert answer.status_code == expected
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == expected
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers
        if expected == 405:
            assert answer.headers["allow"]


async def test_probes_are_open_and_say_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, keys=keys(tmp_path)) as server:
        live, ready = await server.client.get("/healthz"), await server.client.get("/readyz")

        assert (live.status_code, live.json()) == (200, {"status": "up"})
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_without_a_store_the_process_is_up_and_not_ready(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be", encoding="utf-8")
    async with serving(tmp_path) as server:
        ready = await server.client.get("/readyz")

        assert (ready.status_code, ready.json()) == (503, {"status": "not ready"})
        assert (await server.client.get("/healthz")).status_code == 200


async def test_an_answer_holds_nothing_of_an_internal_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(tmp_path) as server:
        await server.app.__aexit__(None, None, None)  # a state no request should ever meet
        answer = await server.client.post("/events", content=body(event("a")), headers=JSON)

        assert answer.status_code == 500
        assert json.loads(answer.text)["detail"] == "internal error; the log has the details"
    assert "internal error: path=/events error=RuntimeError" in caplog.text


# --- counting -----------------------------------------------------------------------------------------------


def test_a_bucket_gives_its_rate_and_a_burst_of_two_seconds() -> None:
    bucket = Bucket(10.0, 0.0)
    assert [bucket.take(0.0) for _ in range(20)] == [0.0] * 20
    assert bucket.take(0.0) == pytest.approx(0.1)
    assert bucket.take(0.1) == 0.0
    assert bucket.take(0.1) > 0.0
    assert [bucket.take(1000.0) for _ in range(21)].count(0.0) == 20


def test_addresses_of_one_ipv6_network_are_one_client() -> None:
    limits = RateLimits(100, 0.5, lambda: 0.0)
    limits.admit_client("2001:db8::1")
    limits.admit_client("2001:db8:0:1::1")
    limits.admit_client("::ffff:192.0.2.1")
    for address in ("2001:db8::2", "2001:db8:0:1:ffff::1", "::ffff:192.0.2.1"):
        with pytest.raises(RequestRefusedError, match="too often"):
            limits.admit_client(address)


def test_clients_without_number_do_not_fill_the_memory() -> None:
    limits = RateLimits(100, 1, lambda: 0.0)
    for number in range(MAX_CLIENTS + 100):
        limits.admit_client(str(number))
    assert len(limits._clients) == MAX_CLIENTS


def test_a_slot_is_free_again_when_it_was_given_back() -> None:
    slots = Slots(1)
    slots.take()
    with pytest.raises(RequestRefusedError, match="too many"):
        slots.take()
    slots.give_back()
    slots.take()
