"""A real Azurite on a folder, behind the network; stopped and started again on the same ports.

Stopped with SIGTERM: it writes to disk every five seconds, and what it acknowledged in the last seconds before a
``kill -9`` is lost, which would be its own fault and not ours.
"""

from __future__ import annotations

import asyncio
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from azurite import Azurite, azurite_command, free_azurite
from fault_proxy import FaultProxy

from azure_soaking.network import DoublingProxy

START_LIMIT_S: Final = 60.0
STOP_LIMIT_S: Final = 60.0


@dataclass
class Storage:
    """One emulator; ``direct`` leads to it past the network."""

    folder: Path
    where: Azurite
    proxies: Mapping[str, FaultProxy]
    restarts: int = 0
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _process: Process | None = None

    @property
    def direct(self) -> str:
        """For whoever looks on."""
        return self.where.connection_string

    @property
    def connection(self) -> str:
        """For whoever is tried: by the network."""
        ports = {name: proxy.port for name, proxy in self.proxies.items()}
        return self.where.through(ports["blob"], ports["queue"], ports["table"])

    async def start(self) -> None:
        """Start, and wait until all three services listen."""
        with (self.folder / "azurite.log").open("ab") as log:
            command = azurite_command(self.where, self.folder / "azurite")
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        for port in (self.where.blob_port, self.where.queue_port, self.where.table_port):
            await _listening(port)

    async def stop(self) -> None:
        """Stop in order; raises TimeoutError, for what is killed now would lose what it acknowledged."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.terminate()
            await asyncio.wait_for(process.wait(), STOP_LIMIT_S)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def restart(self) -> None:
        """Away for a moment: connections are refused, and then everything is as it was."""
        async with self.changing:
            for proxy in self.proxies.values():
                await proxy.refuse()
            await self.stop()
            await self.start()
            for proxy in self.proxies.values():
                await proxy.accept()
            self.restarts += 1


@asynccontextmanager
async def storage(folder: Path, *, doubled: bool) -> AsyncIterator[Storage]:
    """One that runs while the block lasts."""
    where = await asyncio.to_thread(free_azurite)
    queues = DoublingProxy(where.queue_port) if doubled else FaultProxy(where.queue_port)
    proxies = {"blob": FaultProxy(where.blob_port), "queue": queues, "table": FaultProxy(where.table_port)}
    made = Storage(folder, where, proxies)
    try:
        await made.start()
        async with AsyncExitStack() as stack:
            for proxy in proxies.values():
                await stack.enter_async_context(proxy)
            yield made
    finally:
        await made.stop()


async def _listening(port: int) -> None:
    end = time.monotonic() + START_LIMIT_S
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
