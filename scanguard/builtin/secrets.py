"""Secret stores ``env:NAME`` and ``file:PATH``."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from scanguard.errors import SecretError

MAX_SECRET_BYTES: Final = 64 * 1024
"""Longest secret that is read; a bigger file is not a secret but a mistake."""

_PLATFORM_REFERENCE: Final = "@microsoft.keyvault("
_UNRESOLVED: Final = (
    "its value is still the reference @Microsoft.KeyVault(...), which the platform could not replace; the portal shows "
    "why beside the app's setting: the identity it uses (keyVaultReferenceIdentity) needs the role Key Vault Secrets "
    "User, the vault's network must let the app in, and the secret must exist and be enabled"
)
"""https://learn.microsoft.com/azure/app-service/app-service-key-vault-references#troubleshoot-key-vault-references"""


class EnvironmentSecrets:
    """Reads environment variables."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    async def resolve(self, locator: str) -> SecretStr:
        """The variable's value; SecretError when it is not set, empty or too long."""
        value = self._environ.get(locator)
        if value is None:
            raise _error("env", locator, "the environment variable is not set")
        if value.lstrip()[: len(_PLATFORM_REFERENCE)].lower() == _PLATFORM_REFERENCE:
            raise _error("env", locator, _UNRESOLVED)
        return _checked("env", locator, value)


class FileSecrets:
    """Reads files, such as those a container platform mounts; a relative path starts at the working folder."""

    async def resolve(self, locator: str) -> SecretStr:
        """The file's text without its last line break; SecretError when it cannot be had."""
        try:
            data = await asyncio.to_thread(_read, Path(locator))
            return _checked("file", locator, data.decode("utf-8-sig"))
        except UnicodeDecodeError:  # it would show the bytes
            raise _error("file", locator, "the file is not UTF-8 text") from None
        except (OSError, ValueError) as exc:  # ValueError is what a path with a null character raises
            why = exc.strerror if isinstance(exc, OSError) else "it is no path"
            raise _error("file", locator, f"the file cannot be read: {why}") from exc


def _read(path: Path) -> bytes:
    """Read a regular file: a device or a pipe might never end."""
    if path.exists() and not path.is_file():
        raise OSError(0, "it is not a regular file")
    with path.open("rb") as file:
        return file.read(MAX_SECRET_BYTES + 1)


def _checked(scheme: str, locator: str, value: str) -> SecretStr:
    value = value.removesuffix("\n").removesuffix("\r")
    if not value.strip():
        raise _error(scheme, locator, "it is empty")
    if len(value.encode(errors="surrogateescape")) > MAX_SECRET_BYTES:
        raise _error(scheme, locator, f"it is longer than {MAX_SECRET_BYTES:,} bytes")
    return SecretStr(value)


def _error(scheme: str, locator: str, why: str) -> SecretError:
    reference = f"{scheme}:{locator}"
    return SecretError(f"the secret {reference} cannot be resolved: {why}", target=reference)
