"""Who asks: keys and tokens as everywhere, and whoever the platform signed in.

With "Authentication" on, the platform verifies the sign-in, removes what a client sent under its headers' names, and
says who asks in ``X-MS-CLIENT-PRINCIPAL``
(https://learn.microsoft.com/en-us/azure/app-service/configure-authentication-user-identities). With it off anybody
could write that header, so it is read only when the platform says that it is on.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from scanguard.server.access import Access
from scanguard.server.body import headers_of
from scanguard.server.caller import Caller
from scanguard.server.problems import RequestRefusedError

if TYPE_CHECKING:
    from starlette.requests import Request

    from scanguard.settings.server import EntraSettings, Permission

HEADER: Final = "x-ms-client-principal"
AUTH_VARIABLE: Final = "WEBSITE_AUTH_ENABLED"
MAX_LENGTH: Final = 32_768
MAX_CLAIMS: Final = 500
ROLES: Final[Mapping[str, frozenset[Permission]]] = {
    "scanguard.read": frozenset({"read"}),
    "scanguard.replay": frozenset({"read", "replay"}),
}
"""App roles of the app registration, and what each may do. Somebody signed in without one may do nothing."""
_TENANT: Final = ("tid", "http://schemas.microsoft.com/identity/claims/tenantid")
_OBJECT: Final = ("oid", "http://schemas.microsoft.com/identity/claims/objectidentifier")
_ROLE: Final = ("roles", "role", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
log = logging.getLogger("scanguard.function.access")


def is_auth_on(environ: Mapping[str, str]) -> bool:
    """Whether the platform's own authentication stands before this app."""
    return environ.get(AUTH_VARIABLE, "").lower() == "true"


class PlatformAccess(Access):
    """:class:`Access`, and the platform's sign-in once it is trusted."""

    _entra: EntraSettings | None = None

    def trust(self, entra: EntraSettings | None) -> None:
        """Believe the platform about people of this tenant; without one nobody is believed."""
        self._entra = entra

    async def require(self, request: Request, permission: Permission) -> Caller:
        """Whoever asks, if they may; see :meth:`Access.require`."""
        text = headers_of(request).get(HEADER)
        if self._entra is None or text is None or "authorization" in headers_of(request):
            return await super().require(request, permission)
        caller = signed_in(text, self._entra.tenant)
        if caller is not None and permission in caller.allow:
            return caller
        log.warning("refused: caller=%s permission=%s", caller.name if caller else "unreadable", permission)
        roles = ", ".join(sorted(role for role, allow in ROLES.items() if permission in allow)) or "no"
        raise RequestRefusedError(403, "not-allowed", f"whoever asks for this needs the app role {roles}")


def signed_in(text: str, tenant: str) -> Caller | None:
    """The person that the platform names; None for another tenant, or for what cannot be read."""
    claims = list(_claims(text))
    if tenant not in {value.lower() for name, value in claims if name in _TENANT}:
        return None
    oid = next((value for name, value in claims if name in _OBJECT), "unknown")
    allow = [ROLES[value] for name, value in claims if name in _ROLE and value in ROLES]
    return Caller(f"person {ascii(oid)[1:-1][:64]}", frozenset().union(*allow))


def _claims(text: str) -> Iterator[tuple[str, str]]:
    if len(text) > MAX_LENGTH:
        return
    try:
        principal: Any = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return
    claims = principal.get("claims") if isinstance(principal, dict) and principal.get("auth_typ") == "aad" else None
    for claim in claims[:MAX_CLAIMS] if isinstance(claims, list) else ():
        if isinstance(claim, dict) and isinstance(claim.get("typ"), str) and isinstance(claim.get("val"), str):
            yield claim["typ"], claim["val"]
