"""What a vault's refusal, or its silence, means: one error each.

Codes: https://learn.microsoft.com/azure/key-vault/general/rest-error-codes.
"""

from __future__ import annotations

import json
from typing import Final

from scanguard import SecretError, SecretUnavailableError
from scanguard_azure.vault.reference import VaultReference

MAX_RETRY_AFTER_S: Final = 6 * 3600.0
_ROLE: Final = (
    "our identity may not read it: grant it the role Key Vault Secrets User on the vault (or, where the vault uses "
    "access policies, the secret permission Get); a new assignment takes some minutes"
)
_NETWORK: Final = (
    "the vault's network rules keep us out: let the app's subnet in, or give the vault a private endpoint that the app "
    "reaches"
)
_FORBIDDEN: Final = {
    "SecretDisabled": "it is disabled: enable it, or name another version",
    "ForbiddenByRbac": _ROLE,
    "AccessDenied": _ROLE,
    "ForbiddenByPolicy": _ROLE,
    "ForbiddenByFirewall": _NETWORK,
    "ForbiddenByConnection": _NETWORK,
}


def wrong(reference: VaultReference, why: str) -> SecretError:
    """It will not resolve until somebody does something."""
    return SecretError(f"the secret {reference} cannot be resolved: {why}", target=str(reference))


def unavailable(reference: VaultReference, why: str, retry_after_s: float | None = None) -> SecretUnavailableError:
    """It does not resolve now."""
    text = f"the secret {reference} cannot be resolved: {why}"
    return SecretUnavailableError(text, target=str(reference), retry_after_s=retry_after_s)


def unreachable(reference: VaultReference, host: str, kind: str) -> SecretUnavailableError:
    """Nobody answers."""
    why = f"{host} cannot be reached ({kind}): there may be no vault of this name, or no way to it"
    return unavailable(reference, why)


def nobody(reference: VaultReference, host: str, kind: str) -> SecretUnavailableError:
    """We are nobody there."""
    return unavailable(
        reference,
        f"no identity is given a token for {host} ({kind}): on Azure, assign a managed identity (and name its "
        "client_id when it is user-assigned); elsewhere, sign in with az login",
    )


def by_status(reference: VaultReference, host: str, status: int, body: bytes, retry_after: str) -> SecretError:
    """The error for a status that is no success. Of the body only codes that are known are used: it names callers."""
    if status in (408, 429) or status >= 500:
        says = "asks to slow down (429)" if status == 429 else f"answered {status}"
        return unavailable(reference, f"{host} {says}", _seconds(retry_after))
    reasons = {
        401: f"{host} does not accept our identity's token (401): is it of the vault's tenant?",
        403: f"{_FORBIDDEN.get(_inner_code(body), f'{_ROLE}; or {_NETWORK}')} ({host}, 403)",
        404: f"{host} has no such secret, or no such version (404)",
    }
    return wrong(reference, reasons.get(status, f"{host} answered {status}"))


def _inner_code(body: bytes) -> str:
    try:
        code = json.loads(body)["error"]["innererror"]["code"]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return ""
    return code if isinstance(code, str) else ""


def _seconds(text: str) -> float | None:
    text = text.strip()
    return min(float(text[:12]), MAX_RETRY_AFTER_S) if text.isascii() and text.isdigit() else None
