"""What a receiver's answer means: delivered, try again, or never."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from scanguard.errors import NotifyError, NotifyRefusedError
from scanguard.http import read_capped, redact_text, retry_after_s

if TYPE_CHECKING:
    from scanguard.http import Response

MAX_ANSWER_BYTES: Final = 16 * 1024
"""How much of a refusal is read; of a longer one nothing is quoted."""
MAX_QUOTE: Final = 200

_RETRYABLE: Final = frozenset({408, 425, 429})
_SHORTEST_SECRET: Final = 8
_HINTS: Final = {
    400: "the receiver does not understand the notice: check `mode` and its log",
    401: "check `headers` and `secrets`, and the receiver's clock",
    403: "check `headers` and `secrets`, and the receiver's clock",
    404: "check `url`",
    410: "the receiver is gone for good: take this instance out of the chains, or correct its `url`",
    413: "the receiver takes less: lower `max_bytes`",
    415: "the receiver wants the other `mode`",
}


async def refuse(answer: Response, *, destination: str, secrets: Iterable[str], now: datetime) -> None:
    """Raise unless the answer is a success; its body is not read then.

    Raises:
        NotifyError: 408, 425, 429 and 5xx; carries on how long ``Retry-After`` asks to wait.
        NotifyRefusedError: any other status. Redirects are not followed: they could lead a signed notice, and its
            headers, to anybody.
    """
    status = answer.status_code
    if answer.is_success:
        return
    if answer.is_redirect or 300 <= status < 400:
        raise NotifyRefusedError(
            f"{destination} answered {status}, a redirect, which is not followed: configure the final address",
            target=destination,
        )
    said = f"{destination} answered {status}"
    quote = redact_text(await _text(answer), secrets=secrets, limit=MAX_QUOTE)
    if quote:
        said = f"{said} ({quote})"
    if status >= 500 or status in _RETRYABLE:
        raise NotifyError(said, target=destination, retry_after_s=retry_after_s(answer, now))
    raise NotifyRefusedError(f"{said}: {_HINTS.get(status, 'it refuses the notice')}", target=destination)


def secrets_in(url: str) -> list[str]:
    """Parts of a URL that may be tokens, which a receiver may echo."""
    parts = urlsplit(url)
    pieces = [*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query)), parts.query]
    return [url, *(piece for piece in pieces if len(piece) >= _SHORTEST_SECRET)]


async def _text(answer: Response) -> str:
    try:
        body = await read_capped(answer, MAX_ANSWER_BYTES, ValueError)
    except ValueError:
        return ""
    return body.decode("utf-8", "replace")
