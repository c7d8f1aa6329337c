"""Sinks and notifiers: who gets a copy of a verdict."""
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from scanguard.hooks.context import PluginConfig, PluginContext

if TYPE_CHECKING:  # records are made without loading what they carry
    from scanguard.model.merged import MergedReport
    from scanguard.model.verdict import Verdict
    from scanguard.ports import Receipt


@dataclass(frozen=True, slots=True)
class Notice:
    """A verdict with the merged report of each image (by the name in ``ImageVerdict.merged``).

    ``key`` is the same each time this item is delivered again: use it to make a write idempotent.
    """

    key: str
    verdict: Verdict
    reports: Mapping[str, MergedReport]


class Sink(Protocol):
    """Keeps a copy of verdicts somewhere.

    Optional: ``async def check(self) -> None`` for ``scanguard doctor``. It raises the ScanguardError that stands in
    the way of a write within seconds, and leaves nothing behind.
    """

    async def write(self, notice: Notice) -> Receipt:
        """Store; the same ``notice.key`` again must not store twice. Raises SinkError."""

    async def aclose(self) -> None:
        """Close clients."""


@dataclass(frozen=True, slots=True)
class SinkSpec:
    """A sink on offer; ``timeout_s`` bounds one write."""

    name: str
    config: type[PluginConfig]
    build: Callable[[Any, PluginContext], Sink]
    description: str = ""
    timeout_s: float = 60.0


class Notifier(Protocol):
    """Tells people of a verdict.

    Optional: ``async def check(self) -> None`` for ``scanguard doctor``. It raises the ScanguardError that stands in
    the way of a notice (no secret, refused credentials, no address) within seconds. It never sends anything to people.
    """

    async def send(self, notice: Notice) -> Receipt:
        """Deliver, or raise NotifyError (with ``retry_after_s`` when told to slow down); never drop."""

    async def aclose(self) -> None:
        """Close clients."""


@dataclass(frozen=True, slots=True)
class NotifierSpec:
    """A notifier on offer; ``timeout_s`` bounds one send."""

    name: str
    config: type[PluginConfig]
    build: Callable[[Any, PluginContext], Notifier]
    description: str = ""
    timeout_s: float = 30.0
