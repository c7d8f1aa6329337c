"""JSON documents in table rows: as text, compressed over several properties, or beside the row in a blob.

A property holds 64 KiB (text as UTF-16), a row 1 MiB:
https://learn.microsoft.com/en-us/rest/api/storageservices/understanding-the-table-service-data-model.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

from scanguard import BackendError
from scanguard_azure.storage_blobs import StorageBlobs, inflated

TEXT: Final = "Body"
BLOB: Final = "BodyBlob"
MAX_TEXT: Final = 30_000
"""Characters, all of them ASCII, that stand in one property as they are."""
PART_BYTES: Final = 60_000
MAX_PARTS: Final = 12


class StorageBodies:
    """Packs JSON text into properties and back."""

    def __init__(self, spilled: StorageBlobs) -> None:
        self._spilled = spilled

    async def pack(self, text: str, blob: str) -> dict[str, Any]:
        """Properties that hold a text; what is too large is stored as ``blob`` first."""
        if len(text) <= MAX_TEXT and text.isascii():
            return {TEXT: text}
        data = text.encode("utf-8", "surrogatepass")
        packed = zlib.compress(data, 6)
        if len(packed) <= PART_BYTES * MAX_PARTS:
            starts = range(0, len(packed), PART_BYTES)
            return {f"{TEXT}{n:02d}": packed[start : start + PART_BYTES] for n, start in enumerate(starts)}
        await self._spilled.put(blob, data)
        return {BLOB: blob}

    async def unpack(self, entity: Mapping[str, Any]) -> str | None:
        """The text; None when its blob is gone, because the row was replaced or removed meanwhile."""
        if TEXT in entity:
            return str(entity[TEXT])
        if BLOB in entity:
            data = await self._spilled.get(str(entity[BLOB]))
            return None if data is None else data.decode("utf-8", "surrogatepass")
        parts = [entity[name] for name in (f"{TEXT}{n:02d}" for n in range(MAX_PARTS)) if name in entity]
        try:
            return inflated(b"".join(parts)).decode("utf-8", "surrogatepass")
        except (ValueError, TypeError, zlib.error) as exc:
            row = f"{entity.get('PartitionKey')}/{entity.get('RowKey')}"
            raise BackendError(f"the row {row} cannot be read: it is damaged or none of ours") from exc

    async def drop(self, blob: str) -> None:
        """Remove a text that no row points to any more; what cannot be removed is only left over."""
        if blob:
            try:
                await self._spilled.delete(blob)
            except BackendError:
                return


def json_text(value: object) -> str:
    """JSON in ASCII: no character of it is special to a table."""
    return json.dumps(value, separators=(",", ":"))
