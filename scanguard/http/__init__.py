"""The one place that makes HTTP clients; everything else gets one from :class:`HttpFactory`.

Only :mod:`scanguard.http.transport` imports the HTTP library, and it is imported with the first client: this
package costs little to import. The library's own names that callers need (``AsyncClient``, ``Response``, the
exceptions) are attributes of this package and load it when touched: write ``from scanguard import http`` and
``except http.TransportError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanguard.http.addresses import AddressPolicy, refusal
from scanguard.http.bodies import deadline, read_capped, retry_after_s
from scanguard.http.factory import HttpFactory
from scanguard.http.redact import redact_text, redact_url

if TYPE_CHECKING:
    from scanguard.http.transport import (
        URL,
        AsyncClient,
        HTTPError,
        HTTPStatusError,
        InvalidURL,
        Response,
        TimeoutException,
        TransportError,
    )

__all__ = [
    "URL",
    "AddressPolicy",
    "AsyncClient",
    "HTTPError",
    "HTTPStatusError",
    "HttpFactory",
    "InvalidURL",
    "Response",
    "TimeoutException",
    "TransportError",
    "deadline",
    "read_capped",
    "redact_text",
    "redact_url",
    "refusal",
    "retry_after_s",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from scanguard.http import transport  # noqa: PLC0415  # loads the HTTP library, only when somebody needs it

    return getattr(transport, name)
