"""A span for every HTTP request that goes out.

Attributes by https://opentelemetry.io/docs/specs/semconv/http/http-spans/ (1.40). Nothing of the trace is sent along:
scanners, registries and chat services are third parties, and what our traces are called is none of their business.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from scanguard.http.watch import Exchange
from scanguard.telemetry.traces import COMPONENT, Value, Working, span, tracer

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class _Sent:
    working: Working

    def answered(self, status: int) -> None:
        """Note the status; one from 400 on is a failure of this request."""
        self.working.set({"http.response.status_code": status})
        if status >= 400:
            self.working.went_wrong(str(status))


@dataclass(frozen=True, slots=True)
class HttpSpans:
    """Watches the clients of one component.

    ``shows_paths`` is False where a path may be the secret itself, as that of a chat service's webhook.
    """

    component: str = ""
    shows_paths: bool = True

    @contextmanager
    def request(self, method: str, url: str, resend: int) -> Iterator[Exchange]:
        """A span of kind client, until the answer's headers are there."""
        if tracer() is None:
            yield _Sent(Working())
            return
        name = method if method in _METHODS else "HTTP"
        about = {**self._place(url), "http.request.method": name if name != "HTTP" else "_OTHER"}
        if resend:
            about["http.request.resend_count"] = resend
        with span(name, "client", {**about, COMPONENT: self.component}) as working:
            yield _Sent(working)

    def _place(self, url: str) -> dict[str, Value]:
        """Where it goes: never the user, the query or the fragment, and no path where it may be secret."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            return {}
        shown = f"[{host}]" if ":" in host else host
        origin = f"{parts.scheme}://{shown}" + (f":{parts.port}" if parts.port else "")
        return {
            "url.full": origin + (parts.path if self.shows_paths else ""),
            "server.address": host,
            "server.port": port,
        }
