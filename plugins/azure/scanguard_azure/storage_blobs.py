"""Documents in the container: compressed, whole or not at all.

They carry no Content-Encoding: transports that see one decompress by themselves, some of them, sometimes.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Callable
from functools import partial
from typing import Final

from scanguard import BackendError
from scanguard_azure.storage_clients import StorageClients
from scanguard_azure.storage_keys import blob_name

MAX_BYTES: Final = 512 * 1024 * 1024
"""Longest document, decompressed; a longer one is not one of ours."""
CONTENT_TYPE: Final = "application/gzip"
LONG_BYTES: Final = 512 * 1024
"""A longer document is packed and unpacked in a thread."""
_LEVEL: Final = 6
_RATIO: Final = 10
_TRIES: Final = 3


class StorageBlobs:
    """Puts, gets and removes by name."""

    def __init__(self, clients: StorageClients, folder: str) -> None:
        self._clients = clients
        self._folder = folder

    async def put(self, name: str, data: bytes) -> None:
        """Store; the same name again replaces. Raises BackendError."""
        from azure.storage.blob import ContentSettings  # noqa: PLC0415  # loaded with the clients

        packed = await _aside(len(data), partial(gzip.compress, data, _LEVEL, mtime=0))
        settings = ContentSettings(content_type=CONTENT_TYPE)
        blob = blob_name(self._folder, name)
        await self._clients.container(
            lambda container: container.upload_blob(blob, packed, overwrite=True, content_settings=settings)
        )

    async def get(self, name: str) -> bytes | None:
        """The document, or None. Raises BackendError."""
        from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError  # noqa: PLC0415  # see put
        from azure.storage.blob.aio import ContainerClient  # noqa: PLC0415  # see put

        blob = blob_name(self._folder, name)

        async def read(container: ContainerClient) -> bytes | None:
            for _ in range(_TRIES - 1):
                try:
                    return await (await container.download_blob(blob)).readall()
                except ResourceModifiedError:
                    continue  # replaced between two parts of a large one
            return await (await container.download_blob(blob)).readall()

        try:
            packed = await self._clients.container(read)
        except BackendError as exc:
            if isinstance(exc.__cause__, ResourceNotFoundError):
                return None
            raise
        if packed is None:
            return None
        return await _aside(len(packed) * _RATIO, partial(_unpacked, packed, name))

    async def delete(self, name: str) -> None:
        """Remove; one that is gone is no error. Raises BackendError."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415  # loaded with the clients

        blob = blob_name(self._folder, name)
        try:
            await self._clients.container(lambda container: container.delete_blob(blob))
        except BackendError as exc:
            if not isinstance(exc.__cause__, ResourceNotFoundError):
                raise


async def _aside(size: int, work: Callable[[], bytes]) -> bytes:
    """Do it in a thread when it takes long, so that nothing else waits for it."""
    return work() if size < LONG_BYTES else await asyncio.to_thread(work)


def _unpacked(packed: bytes, name: str) -> bytes:
    try:
        return inflated(packed, wbits=31)
    except (zlib.error, ValueError) as exc:
        raise BackendError("a stored document cannot be read: it is damaged or none of ours", target=name) from exc


def inflated(packed: bytes, *, wbits: int = 15) -> bytes:
    """Decompress the whole, at most :data:`MAX_BYTES`; raises ValueError or zlib.error."""
    machine = zlib.decompressobj(wbits)
    data = machine.decompress(packed, MAX_BYTES)
    if not machine.eof or machine.unused_data:
        raise ValueError("too long, cut off, or followed by something")
    return data
