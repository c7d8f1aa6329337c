"""What follows ``keyvault:`` in a reference.

Rules of names: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftkeyvault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from scanguard import SecretError

_VAULT = re.compile(r"(?=.{3,24}\Z)[A-Za-z](?:-?[A-Za-z0-9])*")
_SECRET = re.compile(r"[A-Za-z0-9-]{1,127}")
_VERSION = re.compile(r"[0-9a-f]{32}")
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class VaultReference:
    """One secret of one vault; without a version the newest."""

    vault: str
    secret: str
    version: str = ""

    def __str__(self) -> str:
        return "keyvault:" + "/".join(part for part in (self.vault, self.secret, self.version) if part)

    @classmethod
    def parse(cls, locator: str) -> Self:
        """Read ``vault/secret`` or ``vault/secret/version``; SecretError on anything else.

        Nothing but a name ever reaches the address that is asked, so a reference cannot lead anywhere else.
        """
        vault, _, rest = locator.partition("/")
        secret, slash, version = rest.partition("/")
        if not _VAULT.fullmatch(vault):
            raise _wrong(
                locator, "a vault's name has 3 to 24 letters, digits and single hyphens, and begins with a letter"
            )
        if not _SECRET.fullmatch(secret):
            raise _wrong(locator, "a secret's name has 1 to 127 letters, digits and hyphens")
        if slash and not _VERSION.fullmatch(version):
            raise _wrong(locator, "a version has 32 hexadecimal digits")
        return cls(vault.lower(), secret, version)


def _wrong(locator: str, why: str) -> SecretError:
    shown = f"keyvault:{locator}"
    return SecretError(
        f"{shown[:_SHOWN]!r} is no reference keyvault:vault/secret or keyvault:vault/secret/version: {why}",
        target=shown[:_SHOWN],
    )
