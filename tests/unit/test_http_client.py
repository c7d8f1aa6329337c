from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from scanguard import http
from scanguard.errors import AddressRefusedError, ConfigError
from scanguard.http import AddressPolicy, HttpFactory, deadline, read_capped, retry_after_s
from scanguard.testing.server import Answer, LoopbackServer, ReceivedRequest

NOW = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)


def serve(*answers: Answer, tls: ssl.SSLContext | None = None) -> LoopbackServer:
    """A server that gives these answers in turn, the last one for ever."""
    left = list(answers)

    async def handler(request: ReceivedRequest) -> Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    return LoopbackServer(handler, tls=tls)


def test_importing_the_package_does_not_load_the_http_library() -> None:
    code = "import sys, scanguard.http; sys.exit('httpx' in sys.modules or 'httpcore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603  # own interpreter


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_read_is_tried_again_when_a_gateway_answers(method: str, status: int) -> None:
    async with serve(Answer(status), Answer(200)) as server, HttpFactory().client(base_url=server.url) as client:
        assert (await client.request(method, "/")).status_code == 200
        assert len(server.requests) == 2


async def test_tries_are_bounded_and_the_last_answer_is_returned() -> None:
    async with serve(Answer(503)) as server, HttpFactory().client(base_url=server.url) as client:
        assert (await client.get("/")).status_code == 503
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        pytest.param("GET", Answer(429), id="throttled"),
        pytest.param("GET", Answer(500), id="server-error"),
        pytest.param("GET", Answer(503, headers={"Retry-After": "60"}), id="told-when-to-come-back"),
        pytest.param("POST", Answer(503), id="write"),
    ],
)
async def test_what_is_not_safe_or_not_ours_to_repeat_is_sent_once(method: str, answer: Answer) -> None:
    async with serve(answer) as server, HttpFactory().client(base_url=server.url) as client:
        assert (await client.request(method, "/")).status_code == answer.status
        assert len(server.requests) == 1


async def test_a_server_that_closes_the_connection_is_asked_again() -> None:
    async def handler(request: ReceivedRequest) -> Answer:
        if len(server.requests) == 2:
            raise ConnectionResetError
        return Answer(200, b"ok")

    server = LoopbackServer(handler)
    async with server, HttpFactory().client(base_url=server.url) as client:
        assert (await client.get("/")).text == "ok"
        assert (await client.get("/")).text == "ok"
    assert len(server.requests) == 3


async def test_no_listener_is_a_transport_error() -> None:
    async with serve(Answer()) as server:
        url = server.url
    async with HttpFactory().client() as client:
        with pytest.raises(http.TransportError):
            await client.get(url)


async def test_redirects_are_not_followed_unless_asked_for() -> None:
    async with serve(Answer(307, headers={"Location": "/next"}), Answer(200)) as server:
        async with HttpFactory().client(base_url=server.url) as client:
            assert (await client.get("/")).status_code == 307
        async with HttpFactory().client(base_url=server.url, max_redirects=2) as client:
            assert (await client.get("/")).status_code == 200


async def test_cookies_are_kept_only_when_asked_for() -> None:
    async with serve(Answer(200, headers={"Set-Cookie": "session=canary"})) as server:
        for cookies in (False, True):
            async with HttpFactory().client(base_url=server.url, cookies=cookies) as client:
                await client.get("/")
                await client.get("/")
            assert server.requests[-1].headers.get("cookie") == ("session=canary" if cookies else None)


async def test_proxies_and_netrc_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login canary password canary")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serve(Answer()) as server, HttpFactory().client(base_url=server.url) as client:
        assert (await client.get("/")).status_code == 200
        assert "authorization" not in server.requests[0].headers


async def test_no_log_line_and_no_status_error_holds_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = Answer(404, headers={"Location": "https://x.example/?sig=canary", "Set-Cookie": "canary"})
    async with serve(answer) as server, HttpFactory().client(headers={"Authorization": "Bearer canary"}) as client:
        url = server.url.replace("://", "://user:canary@") + "/canary?sig=canary"
        response = await client.get(url)
        with pytest.raises(http.HTTPStatusError) as caught:
            response.raise_for_status()
    assert str(caught.value) == f"{server.url} answered 404"
    assert f"GET {server.url} 404" in caplog.text
    assert "canary" not in caplog.text


async def test_a_success_does_not_raise() -> None:
    async with serve(Answer()) as server, HttpFactory().client() as client:
        response = await client.get(server.url)
        assert response.raise_for_status() is response


# --- bodies ---------------------------------------------------------------------------------------------------


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 65536


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: Answer(200, b"x" * 1001), id="announced"),
        pytest.param(lambda: Answer(200, stream=endless()), id="endless"),
        pytest.param(
            lambda: Answer(200, gzip.compress(b"\0" * 50_000_000), {"Content-Encoding": "gzip"}), id="gzip-bomb"
        ),
        pytest.param(
            lambda: Answer(200, zlib.compress(b"\0" * 50_000_000), {"Content-Encoding": "deflate"}), id="zlib-bomb"
        ),
    ],
)
async def test_a_body_past_its_limit_raises_the_callers_error(make: Callable[[], Answer]) -> None:
    async with serve(make()) as server, HttpFactory().client() as client, client.stream("GET", server.url) as response:
        with pytest.raises(LookupError, match="too much"):
            await read_capped(response, 1000, lambda: LookupError("too much"))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(200, b"x" * 1000), id="plain"),
        pytest.param(Answer(200, gzip.compress(b"x" * 1000), {"Content-Encoding": "gzip"}), id="gzip"),
    ],
)
async def test_a_body_of_exactly_the_limit_is_read(answer: Answer) -> None:
    async with serve(answer) as server, HttpFactory().client() as client, client.stream("GET", server.url) as response:
        assert await read_capped(response, 1000, LookupError) == b"x" * 1000


async def test_a_compressed_body_that_is_none_is_an_http_error() -> None:
    answer = Answer(200, b"not gzip at all", {"Content-Encoding": "gzip"})
    async with serve(answer) as server, HttpFactory().client() as client, client.stream("GET", server.url) as response:
        with pytest.raises(http.HTTPError):
            await read_capped(response, 1000, LookupError)


async def test_an_encoding_that_was_not_asked_for_is_refused_before_it_is_inflated() -> None:
    async with serve(Answer(200, b"?", {"Content-Encoding": "zstd"})) as server, HttpFactory().client() as client:
        with pytest.raises(http.HTTPError, match="zstd"):
            await client.get(server.url)


# --- time -----------------------------------------------------------------------------------------------------


async def test_a_deadline_bounds_everything_inside_it() -> None:
    started = time.monotonic()
    async with serve(Answer(delay_s=60)) as server, HttpFactory().client() as client:
        with pytest.raises(LookupError):
            async with deadline(0.1, LookupError):
                await client.get(server.url)
    assert time.monotonic() - started < 2


async def test_a_deadline_leaves_another_timeout_and_cancellation_alone() -> None:
    with pytest.raises(TimeoutError):
        async with deadline(5, LookupError):
            raise TimeoutError
    task = asyncio.create_task(_wait_under_deadline())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _wait_under_deadline() -> None:
    async with deadline(5, LookupError):
        await asyncio.sleep(5)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("120", 120.0, id="seconds"),
        pytest.param(" 0 ", 0.0, id="zero"),
        pytest.param("99999999999999999999999", 21600.0, id="absurd"),
        pytest.param("Sun, 01 Jun 2025 12:02:00 GMT", 120.0, id="date"),
        pytest.param("Sun, 01 Jun 2025 11:00:00 GMT", 0.0, id="past-date"),
        pytest.param("Sun, 01 Jun 2125 12:00:00 GMT", 21600.0, id="absurd-date"),
        pytest.param("-5", None, id="negative"),
        pytest.param("soon", None, id="word"),
        pytest.param("", None, id="empty"),
        pytest.param("٣", None, id="other-digits"),
    ],
)
async def test_retry_after_is_read_and_capped(header: str, seconds: float | None) -> None:
    headers = [(b"Retry-After", header.encode())]
    assert retry_after_s(http.Response(429, headers=headers), NOW) == seconds


# --- addresses ------------------------------------------------------------------------------------------------


async def test_a_guarded_client_does_not_reach_this_machine() -> None:
    async with serve(Answer()) as server, HttpFactory().client(allow_private=False) as client:
        with pytest.raises(AddressRefusedError, match="loopback"):
            await client.get(server.url)
        with pytest.raises(AddressRefusedError):
            await client.get(server.url.replace("127.0.0.1", "[::ffff:127.0.0.1]"))
        assert server.requests == []


async def test_a_name_that_changes_its_address_after_the_check_changes_nothing() -> None:
    """The first look-up is the only one: what was checked is what is connected to."""
    lookups: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[tuple[str, int]]:
        lookups.append(host)
        return [("10.0.0.1", 1), ("127.0.0.1", server.port)] if len(lookups) == 1 else [("169.254.169.254", 80)]

    policy = AddressPolicy.of(("127.0.0.0/8",))
    async with serve(Answer(200, b"ok")) as server:
        async with HttpFactory(resolve=resolve).client(addresses=policy) as client:
            assert (await client.get("http://rebinding.example/")).text == "ok"
        assert lookups == ["rebinding.example"]
        assert server.requests[0].headers["host"] == "rebinding.example"


async def test_a_name_that_leads_only_to_refused_addresses_is_refused_without_a_connection() -> None:
    async def resolve(host: str, port: int) -> Sequence[tuple[str, int]]:
        return [("127.0.0.1", server.port), ("169.254.169.254", 80)]

    async with serve(Answer()) as server:
        async with HttpFactory(resolve=resolve).client(allow_private=False) as client:
            with pytest.raises(AddressRefusedError, match=r"rebinding\.example leads to 127\.0\.0\.1"):
                await client.get("http://rebinding.example/")
        assert server.requests == []


@pytest.mark.parametrize("failure", [OSError("no such name"), UnicodeError("label too long")])
async def test_a_name_that_cannot_be_looked_up_is_a_transport_error(failure: Exception) -> None:
    async def resolve(host: str, port: int) -> Sequence[tuple[str, int]]:
        raise failure

    async with HttpFactory(resolve=resolve).client(allow_private=False, attempts=1) as client:
        with pytest.raises(http.TransportError):
            await client.get("http://nowhere.example/")


async def test_a_slow_name_service_is_a_time_out() -> None:
    async def resolve(host: str, port: int) -> Sequence[tuple[str, int]]:
        await asyncio.sleep(60)
        return []

    async with HttpFactory(resolve=resolve).client(allow_private=False, timeout_s=0.05, attempts=1) as client:
        with pytest.raises(http.TimeoutException):
            await client.get("http://slow.example/")


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    return ca, tmp_path / "ca.pem"


def server_context(ca: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    return context


async def test_a_guarded_connection_still_checks_the_certificate_for_the_name(
    authority: tuple[trustme.CA, Path],
) -> None:
    ca, ca_file = authority
    policy = AddressPolicy.of(("127.0.0.0/8",))

    async def resolve(host: str, port: int) -> Sequence[tuple[str, int]]:
        return [("127.0.0.1", server.port)]

    async with serve(Answer(200, b"ok"), tls=server_context(ca, "registry.example")) as server:
        async with HttpFactory(resolve=resolve).client(ca_file=ca_file, addresses=policy, attempts=1) as client:
            assert (await client.get("https://registry.example/")).text == "ok"
            with pytest.raises(http.TransportError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get("https://other.example/")
        async with HttpFactory(resolve=resolve).client(addresses=policy, attempts=1) as client:
            with pytest.raises(http.TransportError, match="CERTIFICATE_VERIFY_FAILED"):
                await client.get("https://registry.example/")


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "unreadable"])
def test_a_certificate_file_that_cannot_be_used_is_a_configuration_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"ca\.pem"):
        HttpFactory().client(ca_file=path)
