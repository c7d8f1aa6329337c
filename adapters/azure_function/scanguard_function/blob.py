"""Reads the configuration from a blob, once, while the app is indexed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from scanguard import http
from scanguard.errors import ConfigError

TIMEOUT_S: Final = 20.0
"""All tries together: the host waits for the index, and a role that was assigned a minute ago may not work yet."""
ATTEMPTS: Final = 4
MAX_BYTES: Final = 1024 * 1024
API_VERSION: Final = "2023-11-03"


def read_blob(url: str, environ: Mapping[str, str]) -> str:
    """The text of a blob, read with the app's identity.

    ``AZURE_CLIENT_ID`` names a user-assigned one. Raises ConfigError, with the address but nothing of the answer.
    """
    if not _is_blob(url):
        raise ConfigError(
            "SCANGUARD_CONFIG_BLOB is the https address of a blob of Azure Storage, without a signature: the app's "
            "identity reads it, and is shown to nobody else"
        )
    found: list[str | ConfigError] = []

    def read() -> None:  # the app is indexed inside a running event loop
        try:
            found.append(asyncio.run(_read(url, environ)))
        except ConfigError as exc:
            found.append(exc)
        except Exception as exc:  # it must be told, whatever it is
            found.append(ConfigError(f"the configuration cannot be read from {url}: {type(exc).__name__}", target=url))

    thread = threading.Thread(target=read, name="configuration", daemon=True)
    thread.start()
    thread.join(TIMEOUT_S + 5)
    result = found[0] if found else ConfigError(f"the configuration did not come from {url} in time", target=url)
    if isinstance(result, ConfigError):
        raise result
    return result


def _is_blob(url: str) -> bool:
    from scanguard_azure.clouds import CLOUDS  # noqa: PLC0415  # only where a blob is named

    parts = urlsplit(url)
    host = parts.hostname or ""
    is_storage = any(host.endswith(f".blob.{cloud.storage_suffix}") for cloud in CLOUDS.values())
    is_emulator = parts.scheme == "http" and host in {"127.0.0.1", "localhost"}
    return (is_emulator or (parts.scheme == "https" and is_storage)) and not (parts.username or parts.query)


async def _read(url: str, environ: Mapping[str, str]) -> str:
    from scanguard_azure.clouds import STORAGE_SCOPE  # noqa: PLC0415  # only where a blob is named
    from scanguard_azure.identity import Identity, IdentityConfig, IdentityError  # noqa: PLC0415  # as above

    identity = Identity(IdentityConfig(client_id=environ.get("AZURE_CLIENT_ID") or None))
    client = http.HttpFactory().client(timeout_s=10.0, attempts=ATTEMPTS, max_connections=1)
    try:
        token = await identity.token(STORAGE_SCOPE)
        headers = {"Authorization": f"Bearer {token.get_secret_value()}", "x-ms-version": API_VERSION}
        late = lambda: ConfigError(f"the configuration did not come from {url} in time", target=url)  # noqa: E731  # short
        async with http.deadline(TIMEOUT_S, late), client.stream("GET", url, headers=headers) as answer:
            if answer.status_code != 200:
                raise ConfigError(
                    f"the configuration cannot be read from {url}: {_why(answer.status_code)}", target=url
                )
            body = await http.read_capped(answer, MAX_BYTES, lambda: ConfigError(f"{url} is too long", target=url))
    except IdentityError as exc:
        raise ConfigError(f"the configuration cannot be read from {url}: {exc}", target=url) from exc
    finally:
        await client.aclose()
        await identity.aclose()
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{url} is not UTF-8 text", target=url) from exc


def _why(status: int) -> str:
    if status in (401, 403):
        return f"{status}: give the app's identity the role Storage Blob Data Reader"
    return f"{status}: there is no such blob" if status == 404 else f"the answer is {status}"
