"""What the commands need of the application; :class:`scanguard.app.App` is it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from scanguard.ports import ALL_LANES, Lane

if TYPE_CHECKING:
    from scanguard.app import Accepted, Progress
    from scanguard.app.dead_letters import DeadLetterDesk
    from scanguard.app.sweeps import SweepDesk
    from scanguard.hooks import PluginContext
    from scanguard.model.merged import MergedReport
    from scanguard.model.verdict import Verdict
    from scanguard.ports import Backend


class Application(Protocol):
    """A loaded configuration, its plugins and a backend; open while in ``async with``."""

    @property
    def backend(self) -> Backend:
        """The five ports."""

    def freshness(self, verdict: Verdict) -> timedelta | None:
        """How long a scan counts as fresh in this verdict's chain; None when the chain is not configured now."""

    def observed(self) -> AbstractContextManager[None]:
        """Send telemetry meanwhile, where the environment wants it."""

    def plugin_context(self, instance: str) -> PluginContext:
        """What the engine lends to an object of this name; for commands of plugins."""

    async def __aenter__(self) -> Self:
        """Open."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close whatever was opened."""

    @property
    def dead_letters(self) -> DeadLetterDesk:
        """What was given up."""

    @property
    def sweeps(self) -> SweepDesk:
        """The periodic jobs."""

    async def accept(self, payload: bytes, *, lane: Lane = Lane.FRESH) -> Accepted:
        """Take events in; durable when it returns."""

    async def accept_images(self, names: Sequence[str], *, force: bool = False) -> tuple[str, ...]:
        """Take images in; the assessments' ids, one per name."""

    async def work(
        self,
        *,
        until: Sequence[str] | None = None,
        lanes: Sequence[Lane] = ALL_LANES,
        progress: Callable[[Progress], None] | None = None,
        idle_exit: bool = False,
    ) -> None:
        """Drive the queue until these assessments are judged or dead, or until nothing is pending."""

    async def verdict(self, id: str) -> Verdict | None:
        """An assessment's verdict, once there is one."""

    async def dead(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Why, of those assessments that became dead letters."""

    async def closed(self, ids: Sequence[str]) -> Mapping[str, datetime]:
        """Since when, of those assessments that found their deployment gone: they have no verdict."""

    async def reports(self, verdict: Verdict) -> Mapping[str, MergedReport]:
        """The merged reports by ``ImageVerdict.merged``."""
