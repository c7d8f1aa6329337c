"""The tenant's signing keys: fetched when first needed, kept for a day, fetched again for a key id not seen."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from scanguard import http
from scanguard.server.problems import RequestRefusedError

if TYPE_CHECKING:
    from jwt import PyJWK

    from scanguard.http import HttpFactory

MAX_AGE_S: Final = 24 * 3600.0
COOL_DOWN_S: Final = 60.0
"""At most one fetch a minute, whatever key ids strangers make up."""
TIMEOUT_S: Final = 10.0
MAX_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 100
MIN_KEY_BITS: Final = 2048
log = logging.getLogger("scanguard.server.keys")


class UnreadableKeysError(ValueError):
    """What was fetched are no signing keys."""


class SigningKeys:
    """RSA keys by key id.

    A token may name a key that was published a moment ago, and a refused event is never sent again. So a key id
    counts as wrong only when keys fetched after it was asked for do not have it; while that cannot be said
    (the fetch failed, or the last one is under a minute old) the answer is 503, which is retried.
    """

    def __init__(self, url: str, factory: HttpFactory, clock: Callable[[], float]) -> None:
        self._url = url
        self._clock = clock
        self._client = factory.client(timeout_s=TIMEOUT_S, attempts=2, max_connections=1)
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def find(self, kid: str) -> PyJWK | None:
        """The key with this id; None when there is none. Raises RequestRefusedError (503) when that is not known."""
        asked_at = self._clock()
        key = self._keys.get(kid)
        if key is not None and asked_at - self._fetched_at < MAX_AGE_S:
            return key
        async with self._fetching:
            if self._fetched_at < asked_at and self._clock() - self._tried_at >= COOL_DOWN_S:
                await self._fetch()
        key = self._keys.get(kid)  # an old key is still better than none
        if key is None and self._fetched_at < asked_at:
            wait = max(1.0, self._tried_at + COOL_DOWN_S - self._clock())
            raise RequestRefusedError(
                503, "keys-unavailable", "the token's signing key is not known yet: send it again", retry_after_s=wait
            )
        return key

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    async def _fetch(self) -> None:
        self._tried_at = self._clock()
        try:
            async with (
                http.deadline(TIMEOUT_S, lambda: UnreadableKeysError("no answer in time")),
                self._client.stream("GET", self._url) as answer,
            ):
                answer.raise_for_status()
                body = await http.read_capped(answer, MAX_BYTES, lambda: UnreadableKeysError("too long"))
            self._keys = parse_keys(body)
        except (http.HTTPError, UnreadableKeysError) as exc:
            log.warning("the signing keys cannot be fetched from %s: %s", http.redact_url(self._url), exc)
            return
        self._fetched_at = self._clock()


def parse_keys(body: bytes) -> Mapping[str, PyJWK]:
    """RSA signing keys of a JSON Web Key Set (RFC 7517); anything else in it is left out.

    Raises UnreadableKeysError when the document is none, or no usable key is in it.
    """
    from jwt import PyJWK, PyJWTError  # noqa: PLC0415  # of the extra `serve`; loads the cryptography library

    try:
        listed = json.loads(body)["keys"][:MAX_KEYS]
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise UnreadableKeysError("the answer is no key set") from exc
    keys: dict[str, PyJWK] = {}
    for one in listed:
        if not isinstance(one, dict) or one.get("kty") != "RSA" or one.get("use", "sig") != "sig":
            continue
        kid = one.get("kid")
        try:
            key = PyJWK.from_dict({"kty": "RSA", "n": one.get("n"), "e": one.get("e")}, algorithm="RS256")
        except (PyJWTError, ValueError, TypeError, AttributeError):
            continue
        if isinstance(kid, str) and key.key.key_size >= MIN_KEY_BITS:
            keys[kid] = key
    if not keys:
        raise UnreadableKeysError("the answer holds no RSA signing key")
    return keys
