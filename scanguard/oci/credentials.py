"""Who we are to a registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class RegistryCredential:
    """What a registry is given: user and password, or an identity token to exchange for a bearer token."""

    username: str = ""
    password: SecretStr | None = None
    identity_token: SecretStr | None = None


class CredentialSource(Protocol):
    """Knows credentials for some registries."""

    async def credential(self, registry: str) -> RegistryCredential | None:
        """The credential for exactly this host[:port], or None."""
