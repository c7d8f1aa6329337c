"""What a registry's answer, or its silence, means: one error each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from scanguard import http
from scanguard.errors import (
    AddressRefusedError,
    ImageNotFoundError,
    RegistryAuthError,
    RegistryError,
    RegistryRefusedError,
    RegistryThrottledError,
    RegistryUnavailableError,
)

_MAX_ERROR_BODY_BYTES = 8192
_ERROR_BODY_TIMEOUT_S = 5.0


@contextmanager
def registry_errors(where: str, registry: str) -> Iterator[None]:
    """Turn what the HTTP library raises into a RegistryError that names ``where``."""
    try:
        yield
    except AddressRefusedError as exc:
        raise RegistryRefusedError(
            f"{where} is not used: {exc.message}; a registry on this machine or in a private network is allowed by "
            f"listing its host under registries.allow_private (or registries.insecure, --insecure-registry "
            f"{registry}, for one without TLS)",
            target=registry,
        ) from exc
    except http.InvalidURL as exc:
        raise RegistryRefusedError(f"{where} led to a URL that is none", target=registry) from exc
    except http.TimeoutException as exc:
        raise RegistryUnavailableError(f"{where} does not answer in time", target=registry) from exc
    except http.HTTPError as exc:
        raise RegistryUnavailableError(f"{where} cannot be read: {_reason(exc)}", target=registry) from exc


def _reason(exc: Exception) -> str:
    text = http.redact_text(str(exc)) or type(exc).__name__
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its TLS certificate is not trusted; set registries.ca_file if it is your own"
    if "SSL" in text:
        return "it speaks no TLS; list it under registries.insecure (--insecure-registry) if that is right"
    return text


async def error_for(
    response: http.Response, where: str, registry: str, now: datetime, secrets: Iterable[str] = ()
) -> RegistryError:
    """Make the error for a status that is no success; reads a little of the streamed body to say why."""
    status = response.status_code
    detail = _detail(await _error_body(response), secrets)
    says = f"{where} answered {status}{f': {detail}' if detail else ''}"
    wait_s = http.retry_after_s(response, now)
    if status == 404:
        return ImageNotFoundError(f"{says}; it does not exist, or it is private", target=registry)
    if status in (401, 403):
        return RegistryAuthError(
            f"{says}; it is private, or does not exist, and the credentials, if any, do not open it", target=registry
        )
    if status == 429:
        return RegistryThrottledError(f"{says}; too many requests", target=registry, retry_after_s=wait_s)
    if status >= 500 or status == 408:
        return RegistryUnavailableError(says, target=registry, retry_after_s=wait_s)
    return RegistryError(says, target=registry)


async def _error_body(response: http.Response) -> bytes:
    """The beginning of the body, or nothing: a broken explanation must not hide the status."""
    body = bytearray()
    try:
        async with http.deadline(_ERROR_BODY_TIMEOUT_S, TimeoutError):
            async for chunk in response.aiter_raw(1024):
                body += chunk
                if len(body) >= _MAX_ERROR_BODY_BYTES:
                    break
    except (TimeoutError, http.HTTPError):
        return b""
    return bytes(body[:_MAX_ERROR_BODY_BYTES])


def _detail(body: bytes, secrets: Iterable[str]) -> str:
    """Code and message of the distribution API's error list, or the text itself; at most 200 characters."""
    text = body.decode("utf-8", "replace")
    try:
        errors = json.loads(text)["errors"]
        text = ", ".join(f"{error.get('code', '')} {error.get('message', '')}".strip() for error in errors)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass  # not every registry, proxy or limit answers in JSON: the text is shown as it is
    return http.redact_text(text, secrets=secrets)
