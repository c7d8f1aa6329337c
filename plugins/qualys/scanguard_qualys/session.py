"""A login at the gateway: one token for all calls of a scanner, renewed before it expires and once when refused.

``POST /auth`` takes a form and answers with the raw token, or with JSON that holds ``access_token``; the token lives
four hours and cannot be refreshed (docs.qualys.com, gateway authentication). Logins are exempt from rate limits.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from scanguard.errors import ScannerOutputError
from scanguard.hooks import PluginContext
from scanguard_qualys.config import QualysConfig
from scanguard_qualys.service import QualysService, Reply, UnauthorizedError, credentials, refused

_EARLY: Final = 0.02
"""The part of a token's life that is not used."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{8,16384}")


class Session:
    """Who we are to one gateway."""

    def __init__(self, config: QualysConfig, context: PluginContext, service: QualysService) -> None:
        self._config = config
        self._context = context
        self._service = service
        self._lock = asyncio.Lock()
        self._token = ""
        self._until: datetime | None = None

    async def call(self, send: Callable[[Mapping[str, str]], Awaitable[Reply]]) -> Reply:
        """Send a request with a token; with a new one, once, when it is refused."""
        token = await self.token()
        try:
            return await send(_bearer(token))
        except UnauthorizedError:
            newer = await self.token(instead_of=token)
        try:
            return await send(_bearer(newer))
        except UnauthorizedError:
            raise refused(self._context.instance) from None

    async def token(self, instead_of: str = "") -> str:
        """A token that is good for a while; not ``instead_of``, which was refused."""
        async with self._lock:
            now = self._context.clock.now()
            is_good = self._until is not None and now < self._until and self._token != instead_of
            if not is_good:
                self._token = await self._log_in()
                self._until = now + timedelta(seconds=self._config.token_life_s * (1 - _EARLY))
            return self._token

    async def _log_in(self) -> str:
        username, password = await credentials(self._config, self._context)
        form = {"username": username, "password": password, "token": "true"}
        try:
            reply = await self._service.send("POST", "/auth", headers={}, form=form)
        except UnauthorizedError:
            raise refused(self._context.instance) from None
        return _token_in(reply.data or b"")


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _token_in(data: bytes) -> str:
    text = data[:20_000].decode("utf-8", "replace").strip()
    if text.startswith("{"):
        try:
            document = json.loads(text)
        except ValueError:
            document = {}
        text = str(document.get("access_token") or document.get("token") or "")
    if not _TOKEN.fullmatch(text):
        raise ScannerOutputError("the login answers with something else than a token; check `url`", plugin="qualys")
    return text
