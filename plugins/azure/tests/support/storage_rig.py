"""Backends on a real Azurite, each with queues, tables and a container of its own; and its time in a test's hands."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from azurite import Azurite, azurite_command, free_azurite
from fault_proxy import FaultProxy
from parts import running
from scanguard_azure.storage_backend import open_storage
from scanguard_azure.storage_config import StorageConfig
from scanguard_azure.storage_tables import StorageTable

from scanguard.hooks import PluginContext
from scanguard.ports import Backend, Clock, SystemClock
from scanguard.testing import make_context
from scanguard.testing.contracts.bench import NOW
from scanguard.testing.memory import ManualClock

MOVED_CLOCK = Path(__file__).with_name("moved_clock.cjs")


class SharedClock(ManualClock):
    """A clock that the emulator goes by too."""

    def __init__(self, file: Path, now: datetime = NOW) -> None:
        super().__init__(now)
        self._file = file
        self._tell()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        super().advance(seconds)
        self._tell()

    def _tell(self) -> None:
        beside = self._file.with_suffix(".new")
        beside.write_text(str(int(self.now().timestamp() * 1000)))
        beside.replace(self._file)


@contextmanager
def azurite_by(clock_file: Path, folder: Path) -> Iterator[Azurite]:
    """An Azurite whose time is what the file says."""
    where = free_azurite()
    program, *rest = azurite_command(where)
    command = [program, "--require", str(MOVED_CLOCK), *rest]
    environ = {**os.environ, "SCANGUARD_TEST_CLOCK": str(clock_file)}
    with running(command, port=where.table_port, log=folder / "azurite.log", env=environ):
        yield where


@dataclass(frozen=True)
class Account:
    """Names of one test in an account; opening it twice opens the same data."""

    connection_string: str
    config: StorageConfig

    @classmethod
    def new(cls, connection_string: str, **options: object) -> Account:
        """Names that nobody else has."""
        name = f"t{uuid.uuid4().hex[:12]}"
        config = {"connection_string": "env:STORAGE", "queue_prefix": f"{name}-", "table_prefix": name}
        return cls(connection_string, StorageConfig.model_validate({**config, "container": name, **options}))

    def by(self, connection_string: str) -> Account:
        """The same data by another way."""
        return Account(connection_string, self.config)

    def open(self, clock: Clock | None = None) -> AbstractAsyncContextManager[Backend]:
        """The backend."""
        return open_storage(self.config, context_with(self.connection_string, clock or SystemClock()))


def context_with(secret: str, clock: Clock) -> PluginContext:
    """What a backend is lent."""
    return make_context(Path("nowhere"), instance="backend", secrets={"env:STORAGE": secret}, clock=clock)


@asynccontextmanager
async def proxied(where: Azurite) -> AsyncIterator[tuple[str, Mapping[str, FaultProxy]]]:
    """A connection string by way of fault proxies, and these by service: ``blob``, ``queue``, ``table``."""
    blob, queue, table = FaultProxy(where.blob_port), FaultProxy(where.queue_port), FaultProxy(where.table_port)
    async with blob, queue, table:
        through = where.through(blob.port, queue.port, table.port)
        yield through, {"blob": blob, "queue": queue, "table": table}


class Died(Exception):
    """The process ended here."""


class DyingTable(StorageTable):
    """Dies at the n-th write from now, before it has an effect; None lives on."""

    countdown: list[int | None]

    def _step(self) -> None:
        left = self.countdown[0]
        if left is not None:
            self.countdown[0] = left - 1
            if left <= 0:
                raise Died

    async def swap(self, entity: Mapping[str, Any], etag: str = "") -> str:
        self._step()
        return await super().swap(entity, etag)

    async def put(self, entity: Mapping[str, Any]) -> None:
        self._step()
        await super().put(entity)

    async def delete(self, partition: str, key: str, etag: str = "") -> bool:
        self._step()
        return await super().delete(partition, key, etag)

    async def drop_all(self, partition: str, keys: Sequence[str]) -> None:
        self._step()
        await super().drop_all(partition, keys)
