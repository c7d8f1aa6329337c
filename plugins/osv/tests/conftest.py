"""What several tests of the OSV plugin share: images in memory, a context, a clock, databases."""

from __future__ import annotations

import gzip
import json
import logging
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import JsonValue
from scanguard_osv.importing import import_exports

from scanguard.hooks import PluginContext, ScanRequest
from scanguard.http import HttpFactory
from scanguard.model.image import ResolvedImage
from scanguard.oci.blobs import ImageFile
from scanguard.oci.client import ImageClient

DATA = Path(__file__).parent / "data"
NOW = datetime(2026, 10, 1, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32
LAYER = "sha256:" + "cd" * 32


class FixedClock:
    """A clock that stands."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now


class LoopbackHttp(HttpFactory):
    """Plain clients; counts those still open."""

    def __init__(self) -> None:
        self.clients: list[httpx.AsyncClient] = []

    def client(self, *, base_url: str = "", timeout_s: float = 30.0, **others: object) -> httpx.AsyncClient:
        client = httpx.AsyncClient(base_url=base_url, timeout=timeout_s, trust_env=False)
        self.clients.append(client)
        return client


class MemoryReader:
    """An image's final files in memory, with the reader's own contract."""

    def __init__(self, files: Mapping[str, bytes], config: Mapping[str, object]) -> None:
        self._files = files
        self.config = config

    async def files(
        self, wanted: Callable[[str], bool], *, on_path: Callable[[str], None] | None = None
    ) -> AsyncIterator[ImageFile]:
        for path, data in self._files.items():
            if on_path is not None:
                on_path(path)
            if wanted(path):
                yield ImageFile(path, data, LAYER)


class MemoryImages(ImageClient):
    """Opens one image in memory."""

    def __init__(self, files: Mapping[str, bytes], config: Mapping[str, object]) -> None:
        self._reader = MemoryReader(files, config)

    @asynccontextmanager
    async def open(self, image: ResolvedImage) -> AsyncIterator[Any]:
        yield self._reader


@pytest.fixture
def http() -> LoopbackHttp:
    return LoopbackHttp()


@pytest.fixture
def make_context(tmp_path: Path, http: LoopbackHttp) -> Callable[..., PluginContext]:
    def make(
        files: Mapping[str, bytes] | None = None,
        *,
        config: Mapping[str, object] | None = None,
        offline: bool = False,
        now: datetime = NOW,
    ) -> PluginContext:
        return PluginContext(
            instance="osv",
            http=http,
            images=MemoryImages(files or {}, config or {}),
            secret=lambda reference: None,
            clock=FixedClock(now),
            data_dir=tmp_path / "data",
            config_dir=tmp_path,
            offline=offline,
            log=logging.getLogger("osv"),
        )

    return make


@pytest.fixture
def request_() -> ScanRequest:
    image = ResolvedImage(name="app", source="oci:app", reference=None, digest=DIGEST, resolved_at=NOW)
    return ScanRequest(key="k", image=image, deadline=NOW + timedelta(hours=1))


@pytest.fixture
def vectors() -> Callable[[str], list[tuple[str, str, int]]]:
    def load(name: str) -> list[tuple[str, str, int]]:
        document = json.loads(gzip.decompress((DATA / "versions" / f"{name}.json.gz").read_bytes()))
        return [(a, b, want) for section in document["sections"] for a, b, want in section["vectors"]]

    return load


@pytest.fixture
def data() -> Path:
    return DATA


@pytest.fixture
def write_export(tmp_path: Path) -> Callable[..., Path]:
    """Write records as an export's zip."""

    def write(records: Iterable[Mapping[str, JsonValue] | bytes], name: str = "export.zip") -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for number, record in enumerate(records):
                body = record if isinstance(record, bytes) else json.dumps(record).encode()
                archive.writestr(f"{number}.json", body)
        return path

    return write


@pytest.fixture
def make_database(tmp_path: Path) -> Callable[..., Path]:
    """Import exports into the place where the scanner looks for its database."""

    def make(*paths: Path, ecosystems: Sequence[str] = (), now: datetime = NOW) -> Path:
        database = tmp_path / "data" / "osv.db"
        import_exports(paths, database, now=now, ecosystems=ecosystems)
        return database

    return make
