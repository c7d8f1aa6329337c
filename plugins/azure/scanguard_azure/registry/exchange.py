"""Our Entra token for a refresh token of one registry.

https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md, ``POST /oauth2/exchange``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import SecretStr

from scanguard import RegistryAuthError, RegistryError, RegistryRefusedError, RegistryThrottledError, http
from scanguard import RegistryUnavailableError as Unavailable
from scanguard.oci.answers import registry_errors
from scanguard_azure.kept import Fetched

MAX_ANSWER_BYTES: Final = 256 * 1024
LONGEST: Final = timedelta(hours=3)
UNSAID: Final = timedelta(minutes=10)
"""How long a token is used that does not say when it ends."""
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")
_ROLE: Final = (
    "grant our identity AcrPull on the registry (Container Registry Repository Reader where it uses repository "
    "permissions, ABAC)"
)


async def exchange(
    client: http.AsyncClient, registry: str, entra: SecretStr, now: datetime, timeout_s: float
) -> Fetched:
    """Ask the registry itself, and nobody it names.

    Errors:
        RegistryAuthError, RegistryThrottledError, RegistryUnavailableError, RegistryRefusedError (a redirect),
        RegistryError (an answer without a token).
    """
    form = {"grant_type": "access_token", "service": registry, "access_token": entra.get_secret_value()}
    with registry_errors(registry, registry):
        async with http.deadline(timeout_s, lambda: _late(registry, timeout_s)):
            request = client.build_request("POST", f"https://{registry}/oauth2/exchange", data=form)
            response = await client.send(request, stream=True)
            try:
                if response.status_code != 200:
                    raise refusal(registry, response, now)
                data = await http.read_capped(response, MAX_ANSWER_BYTES, lambda: _no_token(registry))
            finally:
                await response.aclose()
    token = _refresh_token(data, registry)
    return Fetched(SecretStr(token), ends_at(token, now))


def refusal(registry: str, response: http.Response, now: datetime) -> RegistryError:
    """The error for a status; the registry's own text is not used, since it may repeat what it was sent."""
    status = response.status_code
    wait_s = http.retry_after_s(response, now)
    if status in (400, 401):
        return RegistryAuthError(f"{registry} does not accept our identity ({status}): {_ROLE}", target=registry)
    if status == 403:
        return RegistryAuthError(
            f"{registry} forbids it (403): its network rules may keep us out (let the app's subnet in, or give it a "
            f"private endpoint); else {_ROLE}",
            target=registry,
        )
    if status == 429:
        return RegistryThrottledError(f"{registry} asks to slow down (429)", target=registry, retry_after_s=wait_s)
    if status >= 500 or status == 408:
        return Unavailable(f"{registry} answered {status}", target=registry, retry_after_s=wait_s)
    if 300 <= status < 400:
        return RegistryRefusedError(
            f"{registry} sends our token elsewhere ({status}), which is not done", target=registry
        )
    return RegistryAuthError(f"{registry} gives no token ({status}); is it a registry of Azure?", target=registry)


def ends_at(token: str, now: datetime) -> datetime:
    """When to ask for another: what the token says, less a tenth of what is left, and three hours at most.

    The signature is the registry's to check; a token that says nothing readable is used for ten minutes.
    """
    said = _expiry(token)
    left = UNSAID if said is None else min(max(said - now, timedelta(0)), LONGEST)
    return now + left * 0.9


def _expiry(token: str) -> datetime | None:
    body = token.split(".", 2)[1:2]
    try:
        claims = json.loads(base64.urlsafe_b64decode(body[0] + "=" * (-len(body[0]) % 4)))
        exp = claims["exp"]
        return datetime.fromtimestamp(exp, UTC) if isinstance(exp, int) and not isinstance(exp, bool) else None
    except (IndexError, binascii.Error, ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError):
        return None


def _refresh_token(data: bytes, registry: str) -> str:
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):  # its text would show what was answered
        raise _no_token(registry) from None
    token = answer.get("refresh_token") if isinstance(answer, dict) else None
    if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        raise _no_token(registry)
    return token


def _no_token(registry: str) -> RegistryError:
    return Unavailable(f"{registry} answered something that holds no token", target=registry)


def _late(registry: str, timeout_s: float) -> Unavailable:
    return Unavailable(f"{registry} gave no token within {timeout_s:g} s", target=registry)
