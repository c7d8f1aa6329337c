"""Shared keys, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from pydantic import SecretStr

from scanguard.errors import ConfigError
from scanguard.model.secret import SecretRef
from scanguard.server.caller import Caller
from scanguard.settings.server import ServerKey

MIN_LENGTH: Final = 16
MAX_LENGTH: Final = 512


class KeyRing:
    """The keys that were configured; only their hashes are kept."""

    def __init__(self, keys: Iterable[tuple[bytes, Caller]]) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    async def resolve(cls, keys: Iterable[ServerKey], secret: Callable[[SecretRef], Awaitable[SecretStr]]) -> KeyRing:
        """Read every key once.

        Errors:
            SecretError: a reference does not resolve. ConfigError: a key is too short to be one.
        """
        found = []
        for key in keys:
            value = (await secret(key.secret)).get_secret_value().strip()
            if not MIN_LENGTH <= len(value) <= MAX_LENGTH:
                raise ConfigError(
                    f"server.keys: the key {key.secret} must be {MIN_LENGTH} to {MAX_LENGTH} characters long; "
                    "`openssl rand -hex 32` makes a good one",
                    target=str(key.secret),
                )
            found.append((_hashed(value), Caller(f"key {key.secret}", frozenset(key.allow))))
        return cls(found)

    def find(self, presented: str) -> Caller | None:
        """Whose key it is. Takes as long for a wrong key as for any right one."""
        hashed = _hashed(presented)
        found = None
        for known, caller in self._keys:
            if hmac.compare_digest(known, hashed):
                found = caller
        return found


def _hashed(value: str) -> bytes:
    """Hashes have one length, so comparing them tells nothing of the key's."""
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).digest()
