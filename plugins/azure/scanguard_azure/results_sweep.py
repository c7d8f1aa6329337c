"""The retention job of ``azure_results``: rows older than the retention go, a page at a time, oldest day first.

Tables know no expiry. What is old is found by the table by day, never by a scan of the other. Its row there is removed
last, so whoever is killed in between is followed by the same page again. A result that was judged again since is not
old: its row by image names another row by day.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from scanguard import PluginContext
from scanguard.hooks.sweeps import SweepPage
from scanguard_azure.results_keys import day_key
from scanguard_azure.results_sink import account_clients, made

if TYPE_CHECKING:
    from scanguard_azure.results_config import ResultsConfig

PAGE_ROWS: Final = 500
"""Rows in one page: with their blobs some 2,000 requests at most, eight at a time."""
_CURSOR: Final = re.compile(r"[0-9]{8}/[\x21-\x7e]{1,1000}")


class ResultsSweep:
    """Removes what is older than the retention."""

    def __init__(self, config: ResultsConfig, context: PluginContext) -> None:
        self._config = config
        self._clients = account_clients(config, context)
        self._clock = context.clock

    async def page(self, cursor: str) -> SweepPage:
        """Remove the oldest rows that come after the cursor, which is the keys of a row by day. Raises SinkError."""
        if self._config.retention is None:
            return SweepPage()
        place = await made(self._config, self._clients)
        before = day_key(self._clock.now() - self._config.retention)
        after = cursor if _CURSOR.fullmatch(cursor) else ""
        old = await place.removal.oldest(before, after, PAGE_ROWS)
        await place.removal.remove(old, with_blobs=self._config.delete_blobs)
        return SweepPage(cursor=old[-1].name if len(old) == PAGE_ROWS else None, done=len(old))

    async def aclose(self) -> None:
        """Close clients."""
        await self._clients.aclose()
