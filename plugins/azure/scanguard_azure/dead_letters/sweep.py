"""The sweep ``eventgrid_dead_letters``: what could not be delivered is handed over, and then removed.

Event Grid writes a blob for each event that it gave up, by default after a day, with the event and why (
https://learn.microsoft.com/en-us/azure/event-grid/manage-event-delivery). Each page reads some blobs and hands over
their events; the page after it, which is only asked for when those are safe, removes the blobs. What cannot be
understood is moved below ``rejected/`` with the reason as its metadata, and stays there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field, ValidationError

from scanguard.errors import EventError, SweepError
from scanguard.hooks import PluginContext, SweepPage
from scanguard.intake import ParsedEvents, parse_events
from scanguard.model.base import Model
from scanguard.model.deployment import Event
from scanguard_azure.dead_letters.config import DeadLetterConfig
from scanguard_azure.dead_letters.container import MAX_MOVED, Blob, DeadLetterContainer

MAX_EVENTS: Final = 500
"""Events after which a page ends; the last blob may bring more."""


class _Cursor(Model):
    """Where the run stands.

    Attributes:
        folders: What is still to be looked through; the first is being.
        token: The listing's own, of the page being read.
        after: The last blob of it that was read.
        handed: Name and etag of each blob whose events the page before gave.
    """

    folders: tuple[str, ...] = ()
    token: str = Field(default="", max_length=8192)
    after: str = ""
    handed: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Taken:
    """What one page took."""

    events: list[Event]
    handed: list[tuple[str, str]]
    after: str = ""
    is_full: bool = False


class DeadLetterSweep:
    """Reads the container of one event subscription, or of several."""

    def __init__(self, config: DeadLetterConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._container = DeadLetterContainer(config, context)

    async def page(self, cursor: str) -> SweepPage:
        """Remove what the page before handed over, and hand over more. Raises SweepError and PlatformThrottledError."""
        if not self._context.event_sources:
            raise SweepError("no event source is there to understand events", plugin=self._context.instance)
        at = await self._at(cursor)
        for name, etag in at.handed:
            await self._container.remove(name, etag)
        if not at.folders:
            return SweepPage()
        blobs, token = await self._container.page(at.folders[0], at.token)
        taken = await self._take([blob for blob in blobs if blob.name > at.after])
        following = _following(at, taken, token)
        more = following.model_dump_json() if following.folders or following.handed else None
        return SweepPage(events=taken.events, cursor=more, done=len(taken.handed))

    async def check(self) -> None:
        """Whether the container can be listed. Raises SweepError."""
        await self._container.folders()

    async def aclose(self) -> None:
        """Close connections."""
        await self._container.aclose()

    async def _at(self, cursor: str) -> _Cursor:
        if not cursor:
            return _Cursor(folders=tuple(await self._container.folders()))
        try:
            return _Cursor.model_validate_json(cursor)
        except ValidationError as exc:
            raise SweepError(
                "the cursor cannot be read; the next run begins anew", plugin=self._context.instance
            ) from exc

    async def _take(self, blobs: Sequence[Blob]) -> _Taken:
        taken = _Taken([], [])
        for blob in blobs:
            parsed = await self._parsed(blob)
            if parsed is not None:
                taken.events += parsed.events
                taken.handed.append((blob.name, blob.etag))
            taken.after = blob.name
            if len(taken.events) >= MAX_EVENTS:
                taken.is_full = blob is not blobs[-1]
                break
        return taken

    async def _parsed(self, blob: Blob) -> ParsedEvents | None:
        """What a blob holds; None when nothing of it is to be handed over."""
        if blob.size > self._config.max_blob_bytes:
            await self._reject(blob, f"it is {blob.size:,} bytes long; {self._config.max_blob_bytes:,} are the limit")
            return None
        data = await self._container.read(blob)
        if data is None:
            return None  # somebody else was faster
        try:
            parsed = parse_events(data, self._context.event_sources, max_bytes=self._config.max_blob_bytes)
        except EventError as exc:
            await self._reject(blob, exc.message)
            return None
        if parsed.rejected and not parsed.events and not parsed.skipped:
            await self._reject(blob, parsed.rejected[0])
            return None
        if parsed.rejected:
            await self._container.put_aside(blob, parsed.rejected[0])
        self._context.log.info(
            "dead letter read: blob=%s events=%d skipped=%d rejected=%d",
            ascii(blob.name),
            len(parsed.events),
            len(parsed.skipped),
            len(parsed.rejected),
        )
        return parsed

    async def _reject(self, blob: Blob, reason: str) -> None:
        """Move it aside, so that it is not read again and not lost."""
        self._context.log.warning("dead letter rejected: blob=%s reason=%s", ascii(blob.name), reason)
        if blob.size > MAX_MOVED:
            return  # stays, and is said again by the next run
        await self._container.put_aside(blob, reason)
        await self._container.remove(blob.name, blob.etag)


def _following(at: _Cursor, taken: _Taken, token: str) -> _Cursor:
    handed = tuple(taken.handed)
    if taken.is_full:
        return at.model_copy(update={"after": taken.after, "handed": handed})
    if token:
        return _Cursor(folders=at.folders, token=token, handed=handed)
    return _Cursor(folders=at.folders[1:], handed=handed)
