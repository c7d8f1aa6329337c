"""Periodic jobs of plugins: an inventory, a folder of undelivered events, a table that must not grow for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from scanguard.hooks.context import PluginConfig, PluginContext

if TYPE_CHECKING:  # records are made without loading what they carry
    from scanguard.model.deployment import Event
    from scanguard.model.rate import Rate


@dataclass(frozen=True, slots=True)
class SweepPage:
    """What one page of a job gives.

    Attributes:
        events: Each becomes an assessment in the slow lane, durably, before the next page is asked for. The same event
            again changes nothing, so give each an id that says which observation it is.
        cursor: Where the next page starts; None when the job is done. Whatever must only be removed once the events
            above are safe is removed by the next page: say so in the cursor.
        not_before: When the next page may be asked for at the earliest, for a service that asks to slow down.
        listed: Resource ids that exist now. A job whose pages list everything there is (:attr:`SweepSpec.lists_all`)
            lets the engine look again at each deployment that was not listed, and close those that are gone.
        done: How many things this page dealt with, for people who watch.
    """

    events: Sequence[Event] = ()
    cursor: str | None = None
    not_before: datetime | None = None
    listed: Sequence[str] = ()
    done: int = 0


class Sweep(Protocol):
    """One periodic job."""

    async def page(self, cursor: str) -> SweepPage:
        """Do one page, in less than a minute; ``cursor`` is empty for the first, else what the page before gave.

        The same page may be asked for twice. Raises ScanguardError; a retryable one is tried again with growing
        pauses, ``retry_after_s`` obeyed, and a job that fails for good is visible and starts anew at its next time.
        """

    async def aclose(self) -> None:
        """Close clients."""


@dataclass(frozen=True, slots=True)
class SweepSpec:
    """A periodic job on offer; every instance of a plugin of this name runs it.

    Attributes:
        name: The plugin's name in the configuration; several kinds of record may share it, and then their config.
        every: How often it starts, from the instance's configuration; None switches it off.
        owns: For a job that lists all: whether a resource id is of those that it lists.
        quota: Limits its requests, all workers together, unless the configuration of the instance says otherwise; each
            page counts as ``requests_per_page``.
    """

    name: str
    config: type[PluginConfig]
    build: Callable[[Any, PluginContext], Sweep]
    every: Callable[[Any], timedelta | None]
    description: str = ""
    timeout_s: float = 60.0
    lists_all: bool = False
    owns: Callable[[str], bool] | None = None
    quota: tuple[Rate, ...] = ()
    requests_per_page: int = 1
