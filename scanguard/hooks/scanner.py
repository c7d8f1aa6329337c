"""Scanners: what they are asked, what they answer, what they offer."""
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import JsonValue

from scanguard.hooks.context import PluginConfig, PluginContext

if TYPE_CHECKING:  # records are made without loading what they carry
    from scanguard.errors import ScanError
    from scanguard.model.image import ResolvedImage
    from scanguard.model.rate import Rate
    from scanguard.model.report import ScannerInfo, ScanReport


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One image to scan.

    ``key`` is the same for every attempt at the same task: give it to a service that can refuse doubles, and
    look for it in :meth:`Scanner.find`. ``deadline`` is when the engine stops waiting.
    """

    key: str
    image: ResolvedImage
    deadline: datetime


@dataclass(frozen=True, slots=True)
class Ticket:
    """A scan that goes on elsewhere: ``value`` finds it again (JSON, no secret), ``not_before`` says when to ask.

    ``requests`` is how many requests the next ``poll`` may send at most, when that is not the usual
    ``requests_per_call``: the quota grants so many before it is called. Such a ticket is polled on its own.
    """

    value: Mapping[str, JsonValue]
    not_before: datetime
    requests: int | None = None


class Scanner(Protocol):
    """Looks at images. A scanner that answers at once returns its report from ``submit``.

    Optional: ``async def check(self) -> None`` for ``scanguard doctor``. It raises the ScanguardError that stands in
    the way of a scan (no service, no program, no credentials, no database) within seconds, and scans nothing.
    """

    async def submit(self, request: ScanRequest) -> ScanReport | Ticket:
        """Start a scan; return the report, or a ticket to ask with later."""

    async def poll(self, ticket: Ticket) -> ScanReport | Ticket:
        """Ask after a scan; return the report, or a ticket with a later ``not_before``."""

    async def find(self, request: ScanRequest) -> Ticket | None:
        """Look for a scan that a crashed process may have submitted; None when there is none, or no way to ask."""

    async def info(self) -> ScannerInfo:
        """Which tool, version and database this scanner uses now."""

    async def aclose(self) -> None:
        """Close clients and children."""


class BatchScanner(Scanner, Protocol):
    """A scanner that can ask after many scans with one request."""

    async def poll_many(self, tickets: Sequence[Ticket]) -> Sequence[ScanReport | Ticket | ScanError]:
        """Ask after scans; an answer for each ticket in their order: a report, a ticket, or what went wrong with it.

        What concerns all of them is raised.
        """


@dataclass(frozen=True, slots=True)
class ScannerSpec:
    """A scanner on offer.

    ``fingerprint`` gives the options that change a result (all of them, by default): scans with different
    fingerprints are different tasks. ``heavy`` says that it needs disk, CPU or many minutes of a worker.
    ``step_timeout_s`` bounds one call of ``submit`` or ``poll``; ``scan_timeout_s`` a scan from submit to report.
    ``poll_many`` says how many tickets one call of :meth:`BatchScanner.poll_many` takes; 0 when there is no such call.
    ``quota`` limits the requests of one instance, all workers together, unless its configuration says otherwise;
    each call of ``submit``, ``poll``, ``poll_many`` or ``find`` counts as ``requests_per_call``, a poll of a
    :class:`Ticket` that says so as many as it says.
    ``requests_per_scan`` is how many a whole scan takes, from submit to report: so many submits go out at most as can
    be finished too.
    ``refine`` adapts this record to an instance's configuration, such as ``dataclasses.replace(spec, heavy=True)``.
    """

    name: str
    config: type[PluginConfig]
    build: Callable[[Any, PluginContext], Scanner]
    description: str = ""
    fingerprint: Callable[[Any], Mapping[str, JsonValue]] | None = None
    heavy: bool = False
    step_timeout_s: float = 600.0
    scan_timeout_s: float = 1800.0
    poll_many: int = 0
    quota: tuple[Rate, ...] = ()
    requests_per_call: int = 1
    requests_per_scan: int = 1
    refine: Callable[[ScannerSpec, Any], ScannerSpec] | None = None

    def refined(self, config: PluginConfig) -> ScannerSpec:
        """This record, as it is for an instance with this configuration."""
        return self.refine(self, config) if self.refine else self
