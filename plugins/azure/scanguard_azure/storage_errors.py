"""What Azure's libraries raise becomes BackendError, with what to do about it.

Codes by https://learn.microsoft.com/en-us/rest/api/storageservices/common-rest-api-error-codes (looked at 2026-11-26).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from scanguard import BackendError

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError

MISSING_CODES: Final = frozenset({"TableNotFound", "QueueNotFound", "ContainerNotFound"})
ROLES: Final = {
    "table": "Storage Table Data Contributor",
    "queue": "Storage Queue Data Contributor",
    "blob": "Storage Blob Data Contributor",
}
_BY_CODE: Final = {
    "AuthorizationPermissionMismatch": "the identity lacks the role {role!r} on the account or on this part of it "
    "(Owner and Contributor give no access to data); a new role takes some minutes to work",
    "AuthorizationFailure": "the account's network rules, or a missing role, keep us out: allow this network or use a "
    "private endpoint, and grant {role!r}",
    "KeyBasedAuthenticationNotPermitted": "the account takes no keys: name `account` and grant the identity {role!r}",
    "AuthenticationFailed": "the account does not accept the key or token: check connection_string, and this machine's "
    "clock",
    "AccountIsDisabled": "the account is disabled",
    "InsufficientAccountPermissions": "the account does not allow this operation",
    "ServerBusy": "the account is throttled; it is tried again",
    "OperationTimedOut": "the service took too long; it is tried again",
    "QueueBeingDeleted": "it is being deleted: wait a minute, or choose another name",
    "TableBeingDeleted": "it is being deleted: wait a minute, or choose another name",
    "ContainerBeingDeleted": "it is being deleted: wait a minute, or choose another name",
}
_BY_STATUS: Final = {
    401: "the account does not accept who we are: check connection_string or the identity",
    403: "the account refuses us: check the role {role!r}, the network rules, and whether keys are allowed",
    413: "it is larger than the service takes",
    429: "the account is throttled; it is tried again",
    500: "the service failed; it is tried again",
    503: "the account is throttled or busy; it is tried again",
    507: "the account is full",
}


def code_of(error: BaseException | None) -> str:
    """The service's own word for an error, such as ``EntityAlreadyExists``; empty when there is none."""
    found = getattr(error, "error_code", None)
    response = getattr(error, "response", None)
    if not found and response is not None:
        found = response.headers.get("x-ms-error-code") or _code_in(getattr(error, "message", ""))
    return str(getattr(found, "value", found) or "")


def _code_in(text: str) -> str:
    """Tables say it in the answer's body only."""
    start = text.find("{")
    try:
        return str(json.loads(text[start : text.rfind("}") + 1])["odata.error"]["code"]) if start >= 0 else ""
    except (ValueError, KeyError, TypeError):
        return ""


def status_of(error: BaseException | None) -> int:
    """The HTTP status; 0 when no answer came."""
    return int(getattr(error, "status_code", None) or 0)


def may_have_happened(error: BaseException | None) -> bool:
    """Whether a write that ended so may be stored: no answer, or an answer that tells nothing."""
    return status_of(error) == 0 or status_of(error) >= 500


def as_backend_error(error: AzureError, service: str, name: str) -> BackendError:
    """An error of ours; its text holds no secret and nothing of an answer's body."""
    from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415  # loaded with the clients

    code, status = code_of(error), status_of(error)
    where = _where(service, name)
    if code in MISSING_CODES:
        what = f"is missing: deploy it, or set `create: true` and grant {ROLES[service]!r}"
        return BackendError(f"{where} {what}", target=name)
    known = _BY_CODE.get(code) or _BY_STATUS.get(status)
    if known is not None:
        said = f"{status} {code}".strip()
        text = f"{where} cannot be used ({said}): {known.format(role=ROLES[service])}"
        return BackendError(text, target=name, retry_after_s=_retry_after(error))
    if status:
        return BackendError(f"{where} answered {status} {code}".rstrip(), target=name)
    if isinstance(error, ClientAuthenticationError):
        return BackendError(
            f"{where} cannot be used: there is no identity that is given a token; on Azure, assign a managed identity "
            "(and name its client_id when it is user-assigned); elsewhere, sign in with az login",
            target=name,
        )
    return BackendError(
        f"{where} does not answer ({type(error).__name__}): check the account's name, DNS and the way to it "
        "(firewall, private endpoint)",
        target=name,
    )


def unreadable(error: Exception, service: str, name: str) -> BackendError:
    """For an answer that is none of the service's; nothing of it is shown."""
    return BackendError(
        f"{_where(service, name)} answered something that cannot be read ({type(error).__name__}): is there a proxy "
        "or another service at its address?",
        target=name,
    )


def _where(service: str, name: str) -> str:
    return f"container {name!r}" if service == "blob" else f"{service} {name!r}"


def _retry_after(error: AzureError) -> float | None:
    response = getattr(error, "response", None)
    value = response.headers.get("Retry-After", "") if response is not None else ""
    return float(value) if value.isascii() and value.isdigit() else None
