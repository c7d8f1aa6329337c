"""Documents over the state port: typed rows, compare-and-swap, schema versions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from pydantic import ValidationError

from scanguard.engine.documents import Document
from scanguard.errors import BackendError, ConflictError
from scanguard.model.base import SCHEMA_VERSION
from scanguard.ports import Row, StateStore

D = TypeVar("D", bound=Document)
_MAX_SWAPS = 20
_REMEMBERED: Final = 64
"""Rows that were inserted last: what follows at once changes them next."""


class NewerSchemaError(BackendError):
    """A row was written by a newer scanguard: leave it, and its message, to a newer worker."""


@dataclass(frozen=True, slots=True)
class Stored(Generic[D]):
    """A document and the row it was read from."""

    document: D
    row: Row


class Store:
    """Reads and writes documents."""

    def __init__(self, state: StateStore) -> None:
        self.state = state
        self._inserted: OrderedDict[tuple[str, str, str], Stored[Any]] = OrderedDict()

    async def get(self, kind: type[D], partition: str, key: str = "") -> Stored[D] | None:
        """The document, or None."""
        row = await self.state.get(kind.TABLE, partition, key)
        return None if row is None else Stored(read_document(kind, row), row)

    async def insert(self, document: D, due: datetime | None) -> Stored[D]:
        """Create; ConflictError when it is there."""
        partition, key = document.address
        row = Row(document.TABLE, partition, key, document.model_dump(mode="json"), due)
        stored = Stored(document, await self.state.insert(row))
        self._inserted[document.TABLE, partition, key] = stored
        if len(self._inserted) > _REMEMBERED:
            self._inserted.popitem(last=False)
        return stored

    async def ensure(self, document: D, due: datetime | None) -> Stored[D]:
        """Create, or read what is there already."""
        try:
            return await self.insert(document, due)
        except ConflictError:
            found = await self.get(type(document), *document.address)
            if found is None:
                raise
            return found

    async def replace(self, stored: Stored[D], document: D, due: datetime | None) -> Stored[D]:
        """Write over exactly the version read, or ConflictError."""
        row = await self.state.replace(stored.row.with_(document.model_dump(mode="json"), due))
        return Stored(document, row)

    async def update(
        self,
        kind: type[D],
        partition: str,
        key: str,
        change: Callable[[D], tuple[D, datetime | None] | None],
        *,
        known: Stored[D] | None = None,
    ) -> Stored[D] | None:
        """Read, change, swap; again when somebody was faster. ``change`` returns None to leave the row alone.

        The first try is made on ``known``, when it is given, instead of reading; or on what was inserted here a moment
        ago, which most often nobody has changed since.

        Returns the document as it is now: changed, or the version that ``change`` declined; None when missing.
        """
        guess = self._inserted.pop((kind.TABLE, partition, key), None) if known is None else None
        stored = known or guess or await self.get(kind, partition, key)
        for _ in range(_MAX_SWAPS):
            if stored is None:
                return None
            changed = change(stored.document)
            if changed is None and stored is not guess:
                return stored
            if changed is not None:
                with suppress(ConflictError):
                    return await self.replace(stored, *changed)
            stored = await self.get(kind, partition, key)
        raise BackendError(f"row {kind.TABLE}/{partition} is changed by others all the time; trying again later")


def read_document(kind: type[D], row: Row) -> D:
    """Parse a row's body; a newer schema version is refused before anything else is looked at."""
    version = row.body.get("schema_version", 1)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"row {row.table}/{row.partition} has schema {version}, this scanguard reads {SCHEMA_VERSION}: "
            "a newer worker must handle it",
            target=row.partition,
        )
    try:
        return kind.model_validate(row.body, strict=False)
    except ValidationError as exc:
        raise BackendError(
            f"row {row.table}/{row.partition} cannot be read ({exc.error_count()} faults); the store is damaged",
            target=row.partition,
        ) from exc
