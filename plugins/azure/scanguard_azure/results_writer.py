"""Keeps a result: first its document, then its row by day, last its row by image, which says that all is done.

Whoever is killed in between is followed by the same delivery again, and every step may be taken twice. A newer revision
of a result takes the place of an older one, and removes what that left under other names; an older one that comes late
removes only what it wrote itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scanguard import SinkError

if TYPE_CHECKING:
    from azure.data.tables import TableEntity

    from scanguard_azure.results_blobs import ResultBlobs
    from scanguard_azure.results_record import Record
    from scanguard_azure.results_rows import ResultRows

_ATTEMPTS: Final = 5


class ResultsWriter:
    """Writes records."""

    def __init__(self, blobs: ResultBlobs, rows: ResultRows) -> None:
        self._blobs = blobs
        self._rows = rows

    async def store(self, record: Record) -> str:
        """Keep a record; the name of the blob that holds this revision or a newer one. Raises SinkError."""
        for _ in range(_ATTEMPTS):
            row = await self._rows.get(record)
            if row is not None and _revision(row) >= record.revision:
                return await self._give_way(record, row)
            await self._blobs.put(record)
            await self._rows.put_recent(record)
            await self._replace_what_was(record, row)
            if await self._rows.swap(record, row):
                return record.blob
        raise SinkError(f"{record.blob}: its row is being changed again and again", target=record.blob)

    async def _give_way(self, record: Record, row: TableEntity) -> str:
        """A row says that this revision, or a newer one, is kept; what this one wrote elsewhere goes."""
        path = str(row.get("BlobPath") or record.blob)
        if _revision(row) > record.revision:
            await self._rows.remove_recent("/".join(record.recent))
            if path != record.blob:
                await self._blobs.remove_older(record.blob, _revision(row))
        return path

    async def _replace_what_was(self, record: Record, row: TableEntity | None) -> None:
        """Remove what an older revision wrote under other names, while the row that names it still stands."""
        if row is not None:
            await self._remove_named_by(row, record)
        elif record.revision > 1:
            for stray in await self._rows.strays(record):
                if _revision(stray) < record.revision:
                    await self._remove_named_by(stray, record)
                    await self._rows.remove(stray)

    async def _remove_named_by(self, row: TableEntity, record: Record) -> None:
        recent, path = str(row.get("RecentKey") or ""), str(row.get("BlobPath") or "")
        if recent and recent != "/".join(record.recent):
            await self._rows.remove_recent(recent)
        if path and path != record.blob:
            await self._blobs.remove_older(path, record.revision)


def _revision(row: TableEntity) -> int:
    written = row.get("Revision")
    return written if isinstance(written, int) else 0
