"""Refusals, as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from scanguard.errors import ScanguardError

MEDIA_TYPE: Final = "application/problem+json"
STORE_RETRY_S: Final = 30.0
log = logging.getLogger("scanguard.server")
_TYPE: Final = "urn:scanguard:problem:"


class RequestRefusedError(ScanguardError):
    """A request is not served.

    Args:
        status: Status of the answer.
        kind: What clients tell problems apart by; ends the problem's ``type``.
        message: What is wrong and what to do; safe to show to whoever asks.
        headers: Headers of the answer besides the usual ones.
        retry_after_s: Seconds after which asking again can help; sent as ``Retry-After``.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.status = status
        self.kind = kind
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        headers = dict(self.headers)
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(max(1, int(self.retry_after_s + 0.999)))
        document = {
            "type": _TYPE + self.kind,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.message,
        }
        return Response(json.dumps(document), self.status, headers, MEDIA_TYPE)


def store_unavailable(why: str) -> RequestRefusedError:
    """503: the store does not answer; nothing was acknowledged, so the sender sends again.

    Thirty seconds is the least that Event Grid waits after a 503
    (https://learn.microsoft.com/en-us/azure/event-grid/delivery-and-retry).

    Args:
        why: For the log; whoever asks is not told of paths here.
    """
    log.error("the store does not answer: %s", why)
    text = "the store does not answer now; nothing was taken in: ask again later"
    return RequestRefusedError(503, "store-unavailable", text, retry_after_s=STORE_RETRY_S)


def internal_error() -> RequestRefusedError:
    """500: a fault of ours. Event Grid sends again."""
    return RequestRefusedError(500, "internal", "internal error; the log has the details")
