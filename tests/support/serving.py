"""A real server on a free port, with an application of its own, and a client that knows no proxy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanguard.app import App, AppOptions
from scanguard.http import AsyncClient, HttpFactory
from scanguard.ports import Lane, MessageKind
from scanguard.server.access import Access
from scanguard.server.app import build_app
from scanguard.server.listener import listening
from scanguard.settings.server import ServerSettings

KEY = "0123456789abcdef-events"
READ_KEY = "0123456789abcdef-reader"
GROUP = "/subscriptions/s/resourceGroups/r/providers/Microsoft.ContainerInstance/containerGroups"
JSON = {"Content-Type": "application/json"}

CONFIG = """\
version: 1
chains: {default: {scanners: [], policies: [{plugin: threshold}]}}
server:
  port: 0
"""


@dataclass(frozen=True)
class Serving:
    """A running server."""

    app: App
    url: str
    client: AsyncClient

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def accepted(self) -> list[str]:
        """Names of the resources whose events are in the queue."""
        deliveries = await self.app.backend.queue.receive(tuple(Lane), limit=10_000, visibility_s=0.001)
        messages = [one.message for one in deliveries if one.message and one.message.kind is MessageKind.INTAKE]
        return sorted(str(dict(one.body["event"])["resource_id"]).rpartition("/")[2] for one in messages)

    async def send(self, data: bytes, *, end: bool = False) -> bytes:
        """Send bytes as they are, and read whatever comes until the other side closes, or for two seconds."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            if end:
                writer.write_eof()
            got = b""
            try:
                async with asyncio.timeout(2):
                    while chunk := await reader.read(65_536):
                        got += chunk
            except (TimeoutError, ConnectionError):
                pass
            return got
        finally:
            writer.close()


@asynccontextmanager
async def serving(folder: Path, *, config: str = CONFIG, **settings: Any) -> AsyncIterator[Serving]:
    """Serve an application whose data is in ``folder``; ``settings`` lie over the section ``server``."""
    path = folder / "scanguard.yaml"
    path.write_text(config, encoding="utf-8")  # a small file, before anything is served
    app = App.load(AppOptions(config=(path,), data_dir=folder / "data", environ={}))
    given = ServerSettings.model_validate({**app.settings.server.model_dump(), **settings})
    async with app:
        access = await Access.open(given, app.plugin_context("server"))
        try:
            async with (
                listening(build_app(app, given, access), given) as server,
                HttpFactory().client(base_url=server.url, attempts=1, timeout_s=20) as client,
            ):
                yield Serving(app, server.url, client)
        finally:
            await access.aclose()


def keys(folder: Path) -> list[dict[str, object]]:
    """Two keys in files, for ``keys=``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "events.key").write_text(KEY + "\n", encoding="utf-8")
    (folder / "read.key").write_text(READ_KEY, encoding="utf-8")
    return [
        {"secret": f"file:{folder / 'events.key'}"},
        {"secret": f"file:{folder / 'read.key'}", "allow": ["read"]},
    ]


def event(name: str, **more: object) -> dict[str, Any]:
    """A deployment in the Event Grid schema."""
    resource = f"{GROUP}/{name}"
    return {
        "id": name,
        "topic": "/subscriptions/s",
        "subject": resource,
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": "2026-01-01T00:00:00.1234567Z",
        "data": {"operationName": "Microsoft.ContainerInstance/containerGroups/write", "resourceUri": resource},
        "dataVersion": "2",
        "metadataVersion": "1",
        **more,
    }


def cloud_event(name: str) -> dict[str, Any]:
    """The same as a CloudEvent."""
    old = event(name)
    return {
        "specversion": "1.0",
        "id": name,
        "source": old["topic"],
        "type": old["eventType"],
        "subject": old["subject"],
        "time": old["eventTime"],
        "data": old["data"],
    }


def body(*events: object) -> bytes:
    """A batch."""
    return json.dumps(list(events)).encode()
