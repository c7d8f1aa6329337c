"""Microsoft Entra access tokens: whose they are, or why they are refused.

Claims: https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference. Event Grid sends
one with every delivery when the subscription says so
(https://learn.microsoft.com/en-us/azure/event-grid/secure-webhook-delivery).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jwt

from scanguard.server.caller import Caller
from scanguard.server.signing_keys import SigningKeys
from scanguard.settings.server import EntraSettings

MAX_LENGTH: Final = 16_384
ALGORITHM: Final = "RS256"
"""The only one: Entra uses no other, and a choice would be an attacker's."""
_UNREADABLE: Final = (jwt.PyJWTError, ValueError, TypeError, KeyError, RecursionError)
"""What the library raises for hostile tokens; some of it escapes its own error tree."""


class TokenRefusedError(ValueError):
    """A token is not accepted; the text is ours and holds nothing of the token."""


class TokenVerifier:
    """Checks signature, issuer, audience, tenant, times and the calling application."""

    def __init__(self, settings: EntraSettings, keys: SigningKeys) -> None:
        self._settings = settings
        self._keys = keys
        self._callers = {one.id: Caller(f"application {one.id}", frozenset(one.allow)) for one in settings.applications}

    async def verify(self, token: str) -> Caller:
        """The application that the token was given to.

        Errors:
            TokenRefusedError: it is not good, and never will be. RequestRefusedError (503): the keys to tell
            by cannot be had now.
        """
        if len(token) > MAX_LENGTH:
            raise TokenRefusedError("the token is too long")
        kid = _key_id(token)
        key = await self._keys.find(kid)
        if key is None:
            raise TokenRefusedError("the tenant has no such signing key")
        return self._caller(self._claims(token, key))

    async def aclose(self) -> None:
        """Close what fetches the keys."""
        await self._keys.aclose()

    def _claims(self, token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._settings.audiences,
                issuer=self._settings.accepted_issuers,
                leeway=self._settings.leeway_s,
                options={"require": ["exp", "nbf", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise TokenRefusedError("the token has expired") from None
        except jwt.ImmatureSignatureError:
            raise TokenRefusedError("the token is not valid yet; check this machine's clock") from None
        except jwt.InvalidAudienceError:
            raise TokenRefusedError("the token is for another audience") from None
        except jwt.InvalidIssuerError:
            raise TokenRefusedError("the token is from another issuer") from None
        except _UNREADABLE:
            raise TokenRefusedError("the token cannot be verified") from None
        return claims

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        if str(claims.get("tid", "")).lower() != self._settings.tenant:
            raise TokenRefusedError("the token is from another tenant")
        application = claims.get("azp") or claims.get("appid")
        if not isinstance(application, str):
            raise TokenRefusedError("the token names no application")
        return self._callers.get(application.lower()) or Caller("another application", frozenset())


def _key_id(token: str) -> str:
    try:
        header = jwt.get_unverified_header(token)
    except _UNREADABLE:
        raise TokenRefusedError("this is no token") from None
    kid = header.get("kid")
    if header.get("alg") != ALGORITHM or not isinstance(kid, str):
        raise TokenRefusedError("the token is not signed as Microsoft Entra does")
    return kid
