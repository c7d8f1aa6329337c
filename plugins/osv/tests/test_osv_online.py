"""The service's client, against a real HTTP server that keeps the documented rules."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from pydantic import JsonValue
from scanguard_osv.cache import AdvisoryCache
from scanguard_osv.config import OsvConfig
from scanguard_osv.online import OnlineSource
from scanguard_osv.packages import InstalledPackage, PackageKind
from scanguard_osv.source import Answer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from scanguard.errors import (
    ScanError,
    ScannerAuthError,
    ScannerOutputError,
    ScannerThrottledError,
    ScannerUnavailableError,
    ScanTimeoutError,
)
from scanguard.http import HttpFactory

Ask = Callable[..., Awaitable[Answer]]
MODIFIED = "2024-01-01T00:00:00Z"


@dataclass
class OsvServer:
    """osv.dev as documented: ids only, in the order asked, page by page, at most 1000 queries a batch."""

    vulnerable: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    page_size: int = 1000
    failure: Callable[[], Response] | None = None
    fail_path: str = "/v1/querybatch"
    batches: list[int] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    url: str = ""

    def add(self, osv_id: str, ecosystem: str, name: str, **fields: JsonValue) -> None:
        self.vulnerable.setdefault((ecosystem, name), []).append(osv_id)
        affected = [{"package": {"ecosystem": ecosystem, "name": name}, "ranges": [
            {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}]}]  # fmt: skip
        self.records[osv_id] = {"id": osv_id, "modified": MODIFIED, "affected": affected, **fields}

    async def querybatch(self, request: Request) -> Response:
        if self.failure is not None and self.fail_path == "/v1/querybatch":
            return self.failure()
        queries = (await request.json())["queries"]
        self.batches.append(len(queries))
        if len(queries) > 1000:
            return JSONResponse({"code": 3, "message": "Too many queries."}, 400)
        return JSONResponse({"results": [self._result(query) for query in queries]})

    def _result(self, query: Mapping[str, Any]) -> dict[str, Any]:
        assert set(query) <= {"package", "version", "page_token"}
        assert set(query["package"]) == {"ecosystem", "name"}
        found = self.vulnerable.get((query["package"]["ecosystem"], query["package"]["name"]), [])
        start = int(query.get("page_token", "0"))
        page = found[start : start + self.page_size]
        result: dict[str, Any] = {"vulns": [{"id": one, "modified": MODIFIED} for one in page]} if page else {}
        if start + self.page_size < len(found):
            result["next_page_token"] = str(start + self.page_size)
        return result

    async def vulnerability(self, request: Request) -> Response:
        if self.failure is not None and self.fail_path == "/v1/vulns":
            return self.failure()
        osv_id = request.path_params["id"]
        self.fetched.append(osv_id)
        if osv_id not in self.records:
            return JSONResponse({"code": 5, "message": "Bug not found."}, 404)
        return JSONResponse(self.records[osv_id])


@contextmanager
def serve(current: list[OsvServer]) -> Iterator[str]:
    """Run one HTTP server for all tests; each test puts its own state in ``current``."""

    async def querybatch(request: Request) -> Response:
        return await current[0].querybatch(request)

    async def vulnerability(request: Request) -> Response:
        return await current[0].vulnerability(request)

    app = Starlette(
        routes=[
            Route("/v1/querybatch", querybatch, methods=["POST"]),
            Route("/v1/vulns/{id:path}", vulnerability, methods=["GET"]),
        ]
    )
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.005)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = running.force_exit = True
    thread.join(timeout=5)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[str, list[OsvServer]]]:
    current: list[OsvServer] = []
    with serve(current) as url:
        yield url, current


@pytest.fixture
def server(running: tuple[str, list[OsvServer]]) -> OsvServer:
    url, current = running
    current[:] = [OsvServer(url=url)]
    return current[0]


def python(*names: str, version: str = "1.0") -> dict[str, list[InstalledPackage]]:
    return {"PyPI": [InstalledPackage(PackageKind.PYPI, name, version, name, version) for name in names]}


def deb(ecosystem: str, name: str, version: str) -> dict[str, list[InstalledPackage]]:
    return {ecosystem: [InstalledPackage(PackageKind.DEB, f"{name}-bin", "9", name, version)]}


@pytest.fixture
def ask(server: OsvServer, http: HttpFactory, tmp_path: Path) -> Ask:
    async def look_up(groups: dict[str, list[InstalledPackage]], **options: float) -> Answer:
        config = OsvConfig.model_validate({"url": server.url, **options})
        try:
            return await OnlineSource(http, config, AdvisoryCache(tmp_path / "cache.db")).look_up(groups)
        finally:
            clients: list[httpx.AsyncClient] = vars(http)["clients"]
            assert clients
            assert all(client.is_closed for client in clients)

    return look_up


async def test_answers_belong_to_the_query_in_their_place(server: OsvServer, ask: Ask) -> None:
    server.add("P-1", "PyPI", "bad")
    answer = await ask(python("good", "bad", "fine"))
    assert [(one.package.name, one.advisory.id, one.basis) for one in answer.matches] == [("bad", "P-1", "range")]
    assert answer.held["PyPI"].is_held


async def test_all_pages_of_every_query_are_read(server: OsvServer, ask: Ask) -> None:
    server.page_size = 3
    for number in range(10):
        server.add(f"P-{number}", "PyPI", "bad")
    server.add("Q-1", "PyPI", "worse")
    answer = await ask(python("bad", "worse"))
    assert sorted(one.advisory.id for one in answer.matches) == sorted(server.records)


async def test_more_than_a_thousand_packages_go_in_several_batches(server: OsvServer, ask: Ask) -> None:
    server.add("P-1", "PyPI", "package-2100")
    answer = await ask(python(*(f"package-{number}" for number in range(2101))))
    assert server.batches == [1000, 1000, 101]
    assert [one.package.name for one in answer.matches] == ["package-2100"]


async def test_distribution_packages_are_asked_by_source_name_and_version(server: OsvServer, ask: Ask) -> None:
    server.add("DEBIAN-CVE-2024-1234", "Debian:12", "openssl")
    answer = await ask(deb("Debian:12", "openssl", "1.0-1"))
    assert [one.advisory.id for one in answer.matches] == ["DEBIAN-CVE-2024-1234"]
    assert answer.held["Debian:12"].is_held


async def test_a_release_the_service_knows_nothing_of_is_not_held(server: OsvServer, ask: Ask) -> None:
    server.add("DEBIAN-CVE-2024-1234", "Debian:12", "openssl")
    answer = await ask(deb("Debian:99", "demo", "1.0-1"))
    assert not answer.held["Debian:99"].is_held


async def test_a_release_with_an_advisory_for_any_package_is_held(server: OsvServer, ask: Ask) -> None:
    server.add("WOLFI-1", "Wolfi", "demo")
    answer = await ask({"Wolfi": [InstalledPackage(PackageKind.APK, "demo", "1.0-r0", "demo", "1.0-r0")]})
    assert answer.held["Wolfi"].is_held
    assert len(answer.matches) == 1


async def test_the_services_answer_stands_where_our_own_evaluation_differs(server: OsvServer, ask: Ask) -> None:
    server.add("P-1", "PyPI", "bad")
    [found] = (await ask(python("bad", version="5.0"))).matches
    assert found.basis == "osv.dev"
    assert found.entries


async def test_an_id_without_details_is_still_a_match(server: OsvServer, ask: Ask) -> None:
    server.vulnerable["PyPI", "bad"] = ["P-404"]
    [found] = (await ask(python("bad"))).matches
    assert found.advisory.id == "P-404"


async def test_ubuntu_pro_answers_count_only_where_the_release_is_silent(server: OsvServer, ask: Ask) -> None:
    pro, own = "Ubuntu:Pro:18.04:LTS", "Ubuntu:18.04:LTS"
    server.add("UBUNTU-CVE-2024-1111", pro, "demo")
    server.add("UBUNTU-CVE-2024-2222", pro, "demo")
    fixed = {"package": {"ecosystem": own, "name": "demo"}, "ranges": [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "0.5"}]}]}  # fmt: skip
    server.records["UBUNTU-CVE-2024-2222"]["affected"].append(fixed)
    answer = await ask(deb(own, "demo", "1.0"))
    assert [one.advisory.id for one in answer.matches] == ["UBUNTU-CVE-2024-1111"]


async def test_details_are_fetched_once_for_each_modification(server: OsvServer, ask: Ask) -> None:
    server.add("P-1", "PyPI", "bad")
    first = await ask(python("bad"))
    second = await ask(python("bad"))
    assert server.fetched == ["P-1"]
    assert first.matches == second.matches


async def test_a_broken_cache_costs_a_fetch_and_nothing_else(server: OsvServer, ask: Ask, tmp_path: Path) -> None:
    server.add("P-1", "PyPI", "bad")
    (tmp_path / "cache.db").write_bytes(b"garbage" * 1000)
    assert len((await ask(python("bad"))).matches) == 1
    assert len((await ask(python("bad"))).matches) == 1
    assert server.fetched == ["P-1"]


def _soon() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)


def _status(status: int, **headers: str) -> Response:
    return Response(status_code=status, headers=headers)


def _cut_off() -> Response:
    return Response("{}", headers={"Content-Length": "500"})


@pytest.mark.parametrize("path", ["/v1/querybatch", "/v1/vulns"])
@pytest.mark.parametrize(
    ("failure", "kind", "wait_s"),
    [
        pytest.param(lambda: _status(429, **{"Retry-After": "7"}), ScannerThrottledError, 7, id="429"),
        pytest.param(lambda: _status(429, **{"Retry-After": _soon()}), ScannerThrottledError, 120, id="429, a date"),
        pytest.param(lambda: _status(429, **{"Retry-After": "x"}), ScannerThrottledError, None, id="429, garbage"),
        pytest.param(lambda: _status(503), ScannerUnavailableError, None, id="503"),
        pytest.param(lambda: _status(403), ScannerAuthError, None, id="403"),
        pytest.param(lambda: _status(400), ScannerOutputError, None, id="400"),
        pytest.param(lambda: _status(302, Location="http://127.0.0.1:1/"), ScannerOutputError, None, id="redirect"),
        pytest.param(lambda: HTMLResponse("<html>sign in</html>"), ScannerOutputError, None, id="html"),
        pytest.param(lambda: JSONResponse([]), ScannerOutputError, None, id="a list"),
        pytest.param(lambda: JSONResponse({"results": [{}] * 9}), ScannerOutputError, None, id="wrong count"),
        pytest.param(lambda: Response('{"results": [{"vulns"'), ScannerOutputError, None, id="truncated json"),
        pytest.param(_cut_off, ScannerUnavailableError, None, id="cut off"),
    ],
)
async def test_each_failure_becomes_its_error(
    server: OsvServer,
    ask: Ask,
    *,
    path: str,
    failure: Callable[[], Response],
    kind: type[ScanError],
    wait_s: float | None,
) -> None:
    server.add("P-1", "PyPI", "bad")
    server.fail_path, server.failure = path, failure
    with pytest.raises(kind) as caught:
        await ask(python("bad"))
    assert type(caught.value) is kind
    assert caught.value.plugin == "osv"
    assert caught.value.retry_after_s == (wait_s if wait_s is None else pytest.approx(wait_s, abs=3))


async def test_nobody_listening_is_unavailable(http: HttpFactory, tmp_path: Path) -> None:
    source = OnlineSource(http, OsvConfig(url="http://127.0.0.1:1"), AdvisoryCache(tmp_path / "c.db"))
    with pytest.raises(ScannerUnavailableError, match="cannot be reached"):
        await source.look_up(python("x"))


async def test_an_endless_answer_is_cut_off(server: OsvServer, ask: Ask) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1024 * 1024
            yield b" " * 1024 * 1024

    server.failure = lambda: StreamingResponse(endless())
    with pytest.raises(ScannerOutputError, match="larger than 1048576 bytes"):
        await ask(python("bad"), max_answer_bytes=1024 * 1024)
    assert sent < 50 * 1024 * 1024


async def test_a_service_that_hangs_is_left_at_the_deadline(server: OsvServer, ask: Ask) -> None:
    async def hang() -> AsyncIterator[bytes]:
        await asyncio.sleep(5)
        yield b""

    server.failure = lambda: StreamingResponse(hang())
    started = time.monotonic()
    with pytest.raises(ScanTimeoutError):
        await ask(python("bad"), lookup_timeout_s=0.3)
    assert time.monotonic() - started < 2


async def test_cancelling_ends_at_once_and_closes_the_client(server: OsvServer, ask: Ask) -> None:
    async def hang() -> AsyncIterator[bytes]:
        await asyncio.sleep(5)
        yield b""

    server.failure = lambda: StreamingResponse(hang())
    task = asyncio.ensure_future(ask(python("bad")))
    await asyncio.sleep(0.1)
    task.cancel()
    started = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 1


async def test_pages_that_never_end_are_refused(server: OsvServer, ask: Ask) -> None:
    server.failure = lambda: JSONResponse({"results": [{"next_page_token": "again"}]})
    with pytest.raises(ScannerOutputError, match="never end"):
        await ask(python("bad"))


@pytest.mark.parametrize("osv_id", ["../../admin", "a b", "", "x" * 300])
async def test_an_id_that_is_none_is_refused_and_never_asked_for(server: OsvServer, ask: Ask, osv_id: str) -> None:
    server.vulnerable["PyPI", "bad"] = [osv_id]
    with pytest.raises(ScannerOutputError, match="id"):
        await ask(python("bad"))
    assert server.fetched == []


async def test_details_of_another_advisory_are_refused(server: OsvServer, ask: Ask) -> None:
    server.add("P-1", "PyPI", "bad")
    server.records["P-1"]["id"] = "P-2"
    with pytest.raises(ScannerOutputError, match="P-2"):
        await ask(python("bad"))
