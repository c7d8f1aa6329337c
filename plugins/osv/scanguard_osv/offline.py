"""Looks packages up in the imported database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from pathlib import Path

from scanguard_osv.database import AdvisoryDatabase, open_database
from scanguard_osv.ecosystem import base_of
from scanguard_osv.matching import Match, Undecided, match
from scanguard_osv.packages import InstalledPackage
from scanguard_osv.source import Answer, Groups, Held


class ImportedSource:
    """The database on disk. Reads it in a thread, so that the event loop stays free."""

    def __init__(self, path: Path) -> None:
        self.name = "the imported database"
        self._path = path

    async def look_up(self, groups: Groups) -> Answer:
        """Match every package; a cancelled caller stops the thread at the next package."""
        stop = threading.Event()
        try:
            return await asyncio.to_thread(self._look_up, groups, stop)
        finally:
            stop.set()

    async def held(self, ecosystems: Iterable[str]) -> dict[str, Held]:
        """What the database holds of each ecosystem."""
        return await asyncio.to_thread(self._held, tuple(ecosystems))

    def _held(self, ecosystems: Iterable[str]) -> dict[str, Held]:
        with open_database(self._path) as database:
            return {ecosystem: held_in(database, ecosystem) for ecosystem in ecosystems}

    def _look_up(self, groups: Groups, stop: threading.Event) -> Answer:
        found: list[Match | Undecided] = []
        with open_database(self._path) as database:
            held = {ecosystem: held_in(database, ecosystem) for ecosystem in groups}
            for ecosystem, packages in groups.items():
                for package in packages:
                    if stop.is_set():
                        break
                    found.extend(_decisions(database, ecosystem, package))
        return Answer(
            matches=tuple(one for one in found if isinstance(one, Match)),
            undecided=tuple(one for one in found if isinstance(one, Undecided)),
            held=held,
        )


def held_in(database: AdvisoryDatabase, ecosystem: str) -> Held:
    """What a database holds of an ecosystem: not at all, or how old and how whole."""
    info = database.ecosystem(base_of(ecosystem))
    if info is None or not database.has_release(ecosystem):
        return Held(is_held=False)
    return Held(is_held=True, updated_at=info.newest_modified, broken=info.broken)


def _decisions(database: AdvisoryDatabase, ecosystem: str, package: InstalledPackage) -> Iterable[Match | Undecided]:
    advisories = database.advisories(ecosystem, package.source_name)
    return (one for one in (match(package, ecosystem, advisory) for advisory in advisories) if one is not None)
