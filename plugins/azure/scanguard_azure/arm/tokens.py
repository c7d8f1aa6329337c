"""Tokens for Resource Manager: from the identity, and anew, once in a while, when one was refused."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

from pydantic import SecretStr

from scanguard.errors import PlatformError
from scanguard.ports import Clock
from scanguard_azure.identity import Identity, IdentityConfig, IdentityError

_RENEWAL_PAUSE: Final = timedelta(minutes=1)
"""Shortest time between two renewals: a service that refuses every token must not make us ask for more and more."""


class ManagementTokens:
    """Who we are to Resource Manager. Azure's library remembers a token until it ends."""

    def __init__(self, config: IdentityConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._identity = Identity(config)
        self._lock = asyncio.Lock()
        self._renewed_at: datetime | None = None

    async def token(self) -> str:
        """A token. Raises PlatformError when the identity is given none."""
        async with self._lock:
            return await self._ask()

    async def renewed(self, refused: str) -> str | None:
        """A token other than the one that was refused; None when there is none, or one was renewed just now."""
        async with self._lock:
            if (current := await self._ask()) != refused:
                return current
            now = self._clock.now()
            if self._renewed_at is not None and now < self._renewed_at + _RENEWAL_PAUSE:
                return None
            self._renewed_at = now
            await self._identity.aclose()  # and with it what the library remembers
            return newer if (newer := await self._ask()) != refused else None

    async def _ask(self) -> str:
        scope = self._config.addresses.management_scope
        try:
            found: SecretStr = await self._identity.token(scope)
        except IdentityError as exc:
            raise PlatformError(str(exc), plugin="azure") from exc
        return found.get_secret_value()

    async def aclose(self) -> None:
        """Close the credential."""
        await self._identity.aclose()
