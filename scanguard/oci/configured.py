"""Registry credentials that the configuration names: ``registries.credentials``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from pydantic import SecretStr

from scanguard.errors import RegistryAuthError, RegistryUnavailableError, SecretError
from scanguard.model.secret import SecretRef
from scanguard.oci.credentials import RegistryCredential
from scanguard.oci.names import canonical_registry
from scanguard.oci.settings import RegistryLogin


class ConfiguredCredentials:
    """User and password by registry; a password is resolved each time it is needed, so a new one is used at once."""

    def __init__(
        self, logins: Mapping[str, RegistryLogin], secret: Callable[[SecretRef], Awaitable[SecretStr]]
    ) -> None:
        self._logins = logins
        self._secret = secret

    async def credential(self, registry: str) -> RegistryCredential | None:
        """The credential of exactly this registry, or None.

        Errors:
            RegistryAuthError: the password's reference does not resolve. RegistryUnavailableError: it does not now.
        """
        registry = canonical_registry(registry)
        login = self._logins.get(registry)
        if login is None:
            return None
        try:
            return RegistryCredential(login.username, await self._secret(login.password))
        except SecretError as exc:
            kind = RegistryUnavailableError if exc.is_retryable else RegistryAuthError
            raise kind(
                f"the credentials of {registry} cannot be had: {exc.message}",
                target=registry,
                retry_after_s=exc.retry_after_s,
            ) from exc
