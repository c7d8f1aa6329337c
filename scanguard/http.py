"""The one place that makes HTTP clients."""

from __future__ import annotations

import httpx


class HttpFactory:
    """Placeholder until the client factory lands."""

    def client(self, *, base_url: str = "", timeout_s: float = 30.0) -> httpx.AsyncClient:
        """A client; close it."""
        raise NotImplementedError
