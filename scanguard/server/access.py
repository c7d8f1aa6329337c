"""Who may do what: the credentials of a request, judged."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from scanguard.errors import ConfigError
from scanguard.server.body import headers_of
from scanguard.server.caller import ANYBODY, Caller
from scanguard.server.keys import KeyRing
from scanguard.server.problems import RequestRefusedError
from scanguard.settings.server import Permission, ServerSettings, is_loopback

if TYPE_CHECKING:
    from starlette.requests import Request

    from scanguard.hooks import PluginContext
    from scanguard.server.tokens import TokenVerifier

KEY_HEADERS: Final = ("aeg-sas-key", "x-scanguard-key")
KEY_PARAMETER: Final = "code"
"""Event Grid can add nothing but a query to a webhook's URL; Azure Functions call theirs the same."""
log = logging.getLogger("scanguard.server.access")


class Access:
    """Judges credentials; with neither keys nor tokens configured, everybody on this machine may do everything."""

    def __init__(self, keys: KeyRing, tokens: TokenVerifier | None) -> None:
        self._keys = keys
        self._tokens = tokens

    @classmethod
    async def open(cls, settings: ServerSettings, context: PluginContext) -> Access:
        """Resolve the keys and prepare to verify tokens.

        Errors:
            ConfigError: nobody would have to show anything, and the service does not listen on loopback only.
            SecretError: a key does not resolve.
        """
        if settings.is_open and not is_loopback(settings.host):
            raise ConfigError(
                f"the server would listen on {settings.host} for anybody: configure server.keys or server.entra, "
                "or listen on 127.0.0.1",
                target="server",
            )
        keys = await KeyRing.resolve(settings.keys, context.secret)
        if settings.entra is None:
            return cls(keys, None)
        from scanguard.server.signing_keys import SigningKeys  # noqa: PLC0415  # only where tokens are accepted
        from scanguard.server.tokens import TokenVerifier  # noqa: PLC0415  # as above; loads the cryptography library

        signing = SigningKeys(settings.entra.keys_url, context.http, time.monotonic)
        return cls(keys, TokenVerifier(settings.entra, signing))

    async def aclose(self) -> None:
        """Close what fetches keys."""
        if self._tokens is not None:
            await self._tokens.aclose()

    @property
    def is_open(self) -> bool:
        """Whether nobody has to show anything."""
        return not self._keys and self._tokens is None

    @property
    def takes_tokens(self) -> bool:
        """Whether Microsoft Entra tokens are accepted."""
        return self._tokens is not None

    async def require(self, request: Request, permission: Permission) -> Caller:
        """Whoever asks, if they may.

        Errors:
            RequestRefusedError: 401 without good credentials, 403 when they are good for other things only, 503
            when a token cannot be judged now.
        """
        if self.is_open:
            return ANYBODY
        found = self._by_key(request, permission)
        caller = _first(found, permission)
        if caller is None:
            found += await self._by_token(request)
            caller = _first(found, permission)
        if caller is not None:
            return caller
        if not found:
            raise _unauthenticated("show a key or a Microsoft Entra token", takes_tokens=self.takes_tokens)
        log.warning("refused: caller=%s permission=%s", found[0].name, permission)
        raise RequestRefusedError(403, "not-allowed", f"these credentials are not good for {permission!r}")

    @staticmethod
    def presents_any(request: Request) -> bool:
        """Whether a request carries credentials at all."""
        headers = headers_of(request)
        return (
            "authorization" in headers
            or any(name in headers for name in KEY_HEADERS)
            or KEY_PARAMETER in request.query_params
        )

    def _by_key(self, request: Request, permission: Permission) -> list[Caller]:
        headers = headers_of(request)
        presented = [text for name in KEY_HEADERS if (text := headers.get(name)) is not None]
        if permission == "events" and request.scope["query_string"]:
            presented += request.query_params.getlist(KEY_PARAMETER)[:1]
        return [caller for text in presented if (caller := self._keys.find(text)) is not None]

    async def _by_token(self, request: Request) -> list[Caller]:
        scheme, _, token = headers_of(request).get("authorization", "").partition(" ")
        if self._tokens is None or scheme.lower() != "bearer":
            return []
        from scanguard.server.tokens import TokenRefusedError  # noqa: PLC0415  # loaded already, with the verifier

        try:
            return [await self._tokens.verify(token.strip())]
        except TokenRefusedError as exc:
            log.warning("refused: %s", exc)
            return []


def _first(callers: list[Caller], permission: Permission) -> Caller | None:
    return next((caller for caller in callers if permission in caller.allow), None)


def _unauthenticated(text: str, *, takes_tokens: bool) -> RequestRefusedError:
    challenge = "Bearer" if takes_tokens else "ScanguardKey"
    return RequestRefusedError(401, "unauthenticated", text, headers={"WWW-Authenticate": challenge})
