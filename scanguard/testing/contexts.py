"""What an engine lends to a plugin, made for a test."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from pydantic import SecretStr

from scanguard.errors import SecretError
from scanguard.hooks import EventSourceSpec, PluginContext
from scanguard.http import HttpFactory
from scanguard.model.secret import SecretRef
from scanguard.ports import Clock
from scanguard.testing.memory import ManualClock
from scanguard.testing.samples import NOW

if TYPE_CHECKING:
    from scanguard.http import URL, AsyncClient
    from scanguard.oci.client import ImageClient


class Request(Protocol):
    """What is changed of a request of the HTTP library."""

    url: URL


class WatchedHttp(HttpFactory):
    """The real factory; remembers the clients it made, so that a test can see which are still open.

    Args:
        elsewhere: Where every request goes instead, such as ``http://127.0.0.1:8080``, whatever its URL says: for
            what a plugin does when the other side is broken, also where its address is a secret or fixed.
        ca_file: Certificates (PEM) to trust besides the usual ones.

    Attributes:
        asked: Requests sent ``elsewhere`` so far.
    """

    def __init__(self, *, elsewhere: str = "", ca_file: Path | None = None) -> None:
        super().__init__(ca_file=ca_file)
        self.clients: list[AsyncClient] = []
        self.asked = 0
        self._elsewhere = elsewhere

    def client(self, **options: Any) -> AsyncClient:  # noqa: ANN401  # hands on what it gets
        """Make a client, as the factory does."""
        made = super().client(**options)
        if self._elsewhere:
            made.event_hooks = {**made.event_hooks, "request": [self._turn]}
        self.clients.append(made)
        return made

    async def _turn(self, request: Request) -> None:
        """Send a request elsewhere; its path and query stay."""
        self.asked += 1
        request.url = type(request.url)(self._elsewhere + request.url.raw_path.decode("ascii"))

    @property
    def still_open(self) -> int:
        """Clients that nobody closed."""
        return sum(not client.is_closed for client in self.clients)


class _NoImages:
    """Stands for the images of a test that gave none."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # stands for anything
        raise AssertionError(f"the plugin used context.images.{name}; give make_context(images=…) what it may open")


def make_context(
    folder: Path,
    *,
    instance: str = "tested",
    http: HttpFactory | None = None,
    images: ImageClient | object | None = None,
    secrets: Mapping[str, str] | None = None,
    clock: Clock | None = None,
    offline: bool = False,
    now: datetime = NOW,
    event_sources: tuple[EventSourceSpec, ...] = (),
) -> PluginContext:
    """A context for one instance of a plugin.

    Args:
        folder: Where the plugin may write (``data``) and where relative paths in its configuration start.
        instance: Name of the instance.
        http: Makes its clients; by default the real factory, watched.
        images: Opens its images; without one, a plugin that opens an image fails the test.
        secrets: Values by reference, such as ``{"env:TOKEN": "…"}``; any other raises SecretError.
        clock: The time; by default it stands at ``now`` until the test moves it.
        offline: Whether the user asked for no network.
        now: The moment at which the default clock stands.
        event_sources: Who understands the events that the plugin finds.
    """
    known = dict(secrets or {})

    async def secret(reference: SecretRef) -> SecretStr:
        if str(reference) not in known:
            raise SecretError(f"{reference} is not set", target=str(reference))
        return SecretStr(known[str(reference)])

    return PluginContext(
        instance=instance,
        http=http or WatchedHttp(),
        images=cast("ImageClient", images or _NoImages()),
        secret=secret,
        clock=clock or ManualClock(now),
        data_dir=folder / "data",
        config_dir=folder,
        offline=offline,
        log=logging.getLogger(f"scanguard.plugin.{instance}"),
        event_sources=event_sources,
    )
