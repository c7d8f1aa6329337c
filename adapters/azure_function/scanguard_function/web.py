"""HTTP routes: the service of ``scanguard serve``, behind the platform's front end instead of a listener of ours."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import azure.functions as func

from scanguard.errors import ScanguardError
from scanguard_function.answers import problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from scanguard_function.process import Process

    Asgi = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Any]

ANY_HOST: Final = "0.0.0.0"  # noqa: S104  # nothing listens; it says that strangers can reach the service


class Web:
    """Answers requests; what it needs is loaded with the first one."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._opening = asyncio.Lock()
        self._service: Asgi | None = None

    async def answer(self, request: func.HttpRequest, path: str) -> func.HttpResponse:
        """Let the service answer, at one of its own paths."""
        try:
            service = await self._opened()
        except ScanguardError as exc:
            return problem(503, "not-ready", exc.message)
        return await _asked(service, request, path)

    async def _opened(self) -> Asgi:
        async with self._opening:
            if self._service is None:
                self._service = await _service(self._process)
            return self._service


async def _service(process: Process) -> Asgi:
    """The service over the open application.

    Errors:
        ConfigError, SecretError, BackendError: it cannot be opened now; the next request tries again.
    """
    from scanguard.server.app import build_app  # noqa: PLC0415  # only where HTTP is spoken: events come without
    from scanguard_function.principal import PlatformAccess, is_auth_on  # noqa: PLC0415  # as above

    app = await process.opened()
    settings = app.settings.server.with_address(ANY_HOST, None)
    access = await PlatformAccess.open(settings, app.plugin_context("server"))
    if isinstance(access, PlatformAccess) and is_auth_on(process.environ):
        access.trust(settings.entra)
    return build_app(app, settings, access)


async def _asked(service: Asgi, request: func.HttpRequest, path: str) -> func.HttpResponse:
    """One request through an ASGI application; the body is here already, and so is the answer in the end."""
    answer = _Answer()
    body: bytes | None = request.get_body()

    async def receive() -> dict[str, Any]:
        nonlocal body
        if body is None:
            return {"type": "http.disconnect"}
        message, body = {"type": "http.request", "body": body, "more_body": False}, None
        return message

    await service(_scope(request, path), receive, answer.send)
    return answer.response()


def _scope(request: func.HttpRequest, path: str) -> dict[str, Any]:
    from scanguard.server.body import WHOLE  # noqa: PLC0415  # loaded with the service

    url = urlsplit(request.url)
    headers = [(name.lower(), value) for name, value in request.headers.items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method.upper(),
        "scheme": "https",
        "path": path,
        "raw_path": quote(path).encode(),
        "root_path": "",
        "query_string": url.query.encode("utf-8", "replace"),
        "headers": [(name.encode("latin-1", "replace"), value.encode("latin-1", "replace")) for name, value in headers],
        "client": (_client(dict(headers)), 0),
        "server": (url.hostname or "", 443),
        WHOLE: True,
    }


def _client(headers: dict[str, str]) -> str:
    """Who asks, as the platform's front end saw it: it adds the last address of ``X-Forwarded-For``, with a port."""
    last = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if last.startswith("["):
        return last[1:].partition("]")[0]
    return last.rpartition(":")[0] if last.count(":") == 1 else last


class _Answer:
    """Gathers what an ASGI application sends."""

    def __init__(self) -> None:
        self._status = 500
        self._headers: dict[str, str] = {}
        self._body = b""

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
            self._headers.pop("content-length", None)
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")

    def response(self) -> func.HttpResponse:
        kind = self._headers.pop("content-type", "application/json")
        return func.HttpResponse(self._body, status_code=self._status, headers=self._headers, mimetype=kind)
