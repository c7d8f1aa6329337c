"""What the storage account says when it does not do what it was asked, as errors of a sink."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, HttpResponseError

from scanguard import SinkError

BLOB_ROLE = "Storage Blob Data Contributor"
TABLE_ROLE = "Storage Table Data Contributor"


@contextmanager
def sink_errors(target: str, role: str) -> Iterator[None]:
    """Turn errors of Azure's libraries about ``target``, such as ``table ScanMetadata``, into SinkError.

    All of them can be tried again: a role, a container or an account that is missing may be there tomorrow.
    """
    try:
        yield
    except HttpResponseError as exc:
        said = _said(exc)
        raise SinkError(
            f"{target}: {said}{_remedy(exc.status_code, said, target, role)}",
            target=target,
            retry_after_s=_retry_after(exc),
        ) from exc
    except AzureError as exc:
        raise SinkError(
            f"{target}: the storage account cannot be reached ({type(exc).__name__})", target=target
        ) from exc


def error_code(error: HttpResponseError) -> str:
    """Storage's own word for what went wrong, such as ``TableNotFound``; empty when it gave none."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _said(error: HttpResponseError) -> str:
    code = error_code(error)
    return f"storage answers {error.status_code or 'nothing that can be read'}" + (f" {code}" if code else "")


def _remedy(status: int | None, said: str, target: str, role: str) -> str:
    if status == 404:
        return f"; create {target} (create: true does), or correct its name"
    if status in (401, 403):
        if "AuthorizationFailure" in said:
            return "; its firewall does not let this network in"
        return f"; give this identity the role {role} on the account (it takes some minutes to apply)"
    return ""


def _retry_after(error: HttpResponseError) -> float | None:
    headers = getattr(error.response, "headers", None) or {}
    given = str(headers.get("Retry-After", ""))
    return float(given) if given.isascii() and given.isdigit() and len(given) < 10 else None
