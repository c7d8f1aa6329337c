"""Lends plugin objects what the engine would, and notes what servers say of the time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from scanguard.app.host import PluginHost, Surroundings
from scanguard.doctor.situation import Situation
from scanguard.hooks import Catalog, PluginContext
from scanguard.http import HttpFactory
from scanguard.oci.settings import RegistrySettings
from scanguard.ports import SystemClock

if TYPE_CHECKING:
    from scanguard.http import AsyncClient, Response


@dataclass(frozen=True, slots=True)
class ServerTime:
    """How far ahead of this machine's clock a server's is."""

    server: str
    ahead: timedelta


@dataclass
class Times:
    """What servers said; filled by many threads."""

    seen: list[ServerTime] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    async def note(self, response: Response) -> None:
        """Read an answer's ``Date``; one that was kept by a cache is older by its ``Age`` (RFC 9111 section 5.1)."""
        now = datetime.now(UTC)
        try:
            moment = parsedate_to_datetime(response.headers.get("Date", ""))
            age_s = int(response.headers.get("Age", "0")[:10])
            said = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) + timedelta(seconds=max(age_s, 0))
        except (ValueError, TypeError, IndexError, OverflowError):
            return
        with self._lock:
            self.seen.append(ServerTime(response.request.url.host, said - now))


class WatchingHttp(HttpFactory):
    """The factory of HTTP clients; each tells what time its servers have."""

    def __init__(self, settings: RegistrySettings, times: Times) -> None:
        super().__init__(ca_file=settings.ca_file)
        self._times = times

    def client(self, **options: Any) -> AsyncClient:  # noqa: ANN401  # hands on what it gets
        """Make a client, as the factory does."""
        made = super().client(**options)
        made.event_hooks = {"request": [], "response": [self._times.note]}
        return made


class DoctorHost(PluginHost):
    """A host for one check: built, used and closed in one thread, so nothing is shared with another check."""

    def __init__(self, surroundings: Surroundings, times: Times) -> None:
        super().__init__(surroundings)
        self.registries = surroundings.registries
        self.catalog: Catalog = surroundings.catalog
        self.clock = surroundings.clock
        self.watching = WatchingHttp(surroundings.registries, times)

    def context(self, instance: str, plugin: str | None = None) -> PluginContext:
        """What an object of this instance is lent."""
        return replace(super().context(instance, plugin), http=self.watching)


def make_host(situation: Situation, times: Times) -> DoctorHost:
    """A host over whatever of the configuration is good; ValueError when nothing could be loaded."""
    if situation.bound is None or situation.plugins is None or situation.data_dir is None:
        raise ValueError("plugins or configuration could not be loaded")
    return DoctorHost(
        Surroundings(
            bound=situation.bound,
            catalog=situation.plugins.catalog,
            registries=registries_of(situation),
            data_dir=situation.data_dir,
            clock=SystemClock(),
        ),
        times,
    )


def registries_of(situation: Situation) -> RegistrySettings:
    """The section ``registries``, with what the command line adds."""
    settings = situation.loaded.settings.registries if situation.loaded else RegistrySettings()
    return settings.with_insecure(situation.question.options.insecure_registries)
