"""Who we are to a registry."""

from __future__ import annotations

from collections.abc import Sequence
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
        """The credential for exactly this host[:port], or None.

        ``registry`` is the canonical name (``docker.io`` for Docker Hub). Raises RegistryAuthError when a
        credential is configured and cannot be had.
        """


class CredentialChain:
    """Asks several sources in order; the first that knows the registry decides."""

    def __init__(self, sources: Sequence[CredentialSource]) -> None:
        self._sources = tuple(sources)

    async def credential(self, registry: str) -> RegistryCredential | None:
        """The first credential found, or None."""
        for source in self._sources:
            if (found := await source.credential(registry)) is not None:
                return found
        return None
