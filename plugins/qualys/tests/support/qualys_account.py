"""Images, requests and scans of a simulated account, for the tests of this plugin."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from scanguard_qualys.simulator import QualysSimulator

from scanguard.hooks import PluginContext, Scanner, ScanRequest, Ticket
from scanguard.http import HttpFactory
from scanguard.model.image import ResolvedImage
from scanguard.model.reference import ImageReference
from scanguard.model.report import ScanReport
from scanguard.testing.contexts import make_context
from scanguard.testing.memory import ManualClock
from scanguard.testing.samples import NOW, sample_image

PLATFORM: Mapping[str, Any] = {"mode": "platform", "username": "env:Q_USER", "password": "env:Q_PASSWORD"}
SECRETS = {"env:Q_USER": "sim-user", "env:Q_PASSWORD": "sim-password"}

Simulate = Callable[..., Awaitable[QualysSimulator]]
ScannerOf = Callable[..., Scanner]


def image(number: int = 1, *, config: bool = True) -> ResolvedImage:
    """An image of a registry; its two digests follow from the number."""
    digest = f"sha256:{number:064x}"
    return sample_image().model_copy(
        update={
            "source": f"acme.example/shop/api@{digest}",
            "reference": ImageReference.parse("acme.example/shop/api:1.4"),
            "digest": digest,
            "config_digest": f"sha256:{number + 0xC0FFEE:064x}" if config else None,
        }
    )


def request_for(resolved: ResolvedImage, key: str = "0123456789abcdef") -> ScanRequest:
    """A request of the engine."""
    return ScanRequest(key=key, image=resolved, deadline=NOW + timedelta(hours=1))


def context_for(folder: Path, ca_file: Path | None = None, **more: Any) -> PluginContext:
    """What the engine lends, with the secrets of the simulated account."""
    clock = ManualClock(NOW)
    given = {"instance": "qualys-test", "secrets": SECRETS, "clock": clock, "http": HttpFactory(ca_file=ca_file)}
    return make_context(folder, **{**given, **more})


async def scan(scanner: Scanner, resolved: ResolvedImage, *, polls: int = 20) -> ScanReport:
    """From submit to report, without waiting."""
    answer = await scanner.submit(request_for(resolved))
    for _ in range(polls):
        if isinstance(answer, ScanReport):
            return answer
        answer = await scanner.poll(kept(answer))
    raise AssertionError(f"no report after {polls} polls")


def kept(ticket: ScanReport | Ticket) -> Ticket:
    """A ticket as it comes back from the store."""
    assert isinstance(ticket, Ticket)
    return Ticket(json.loads(json.dumps(dict(ticket.value))), ticket.not_before, ticket.requests)
