"""Registry credentials ``azure_acr``: our own identity opens Azure's registries."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from scanguard import PluginContext, RegistryCredential, RegistryUnavailableError
from scanguard.http import AddressPolicy
from scanguard_azure.identity import Identity, IdentityError
from scanguard_azure.kept import Fetched, KeptValues
from scanguard_azure.registry.config import AcrConfig
from scanguard_azure.registry.exchange import LONGEST, exchange

if TYPE_CHECKING:
    from scanguard.http import AsyncClient

TOKEN_USER: Final = "00000000-0000-0000-0000-000000000000"  # noqa: S105  # a user's name, and public
"""Who presents a refresh token as a password: https://learn.microsoft.com/azure/container-registry/container-registry-authentication."""
MAX_NOTED: Final = 1000


class AcrCredentials:
    """Exchanges our Entra token for a registry's own; close it with :meth:`aclose`.

    The registry's name comes from an image, which whoever deploys may choose. So a token goes to a name of Azure's own
    domain that the configuration allows, over https, by a request of ours; never to a realm, nor where an answer leads.
    """

    def __init__(self, config: AcrConfig, context: PluginContext) -> None:
        self._config = config
        self._context = context
        self._identity = Identity(config)
        self._kept = KeptValues(context.clock, context.log)
        self._client: AsyncClient | None = None
        self._noted: set[str] = set()

    async def credential(self, registry: str) -> RegistryCredential | None:
        """A refresh token of the registry, as identity token and as password; None for all that is not allowed.

        Errors:
            RegistryAuthError: refused, with the role to grant. RegistryThrottledError. RegistryUnavailableError: no
            answer, or no identity. RegistryRefusedError: a redirect, or an address that is none of a registry.
        """
        if not self._config.is_login_server(registry):
            return None
        if not self._config.is_allowed(registry):
            self._note(registry)
            return None
        token = await self._kept.get(registry, LONGEST, partial(self._exchange, registry))
        return RegistryCredential(TOKEN_USER, password=token, identity_token=token)

    async def aclose(self) -> None:
        """Close the clients."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
        await self._identity.aclose()

    async def _exchange(self, registry: str) -> Fetched:
        try:
            entra = await self._identity.token(self._config.scope)
        except IdentityError as exc:
            raise RegistryUnavailableError(f"{registry} cannot be asked: {exc}", target=registry) from exc
        return await exchange(self._http(), registry, entra, self._context.clock.now(), self._config.timeout_s)

    def _http(self) -> AsyncClient:
        """A private endpoint has a private address; where metadata services answer, no registry is."""
        if self._client is None:
            self._client = self._context.http.client(
                timeout_s=self._config.timeout_s, addresses=AddressPolicy.of(True), attempts=1
            )
        return self._client

    def _note(self, registry: str) -> None:
        """Say once why a registry is asked as a stranger."""
        if registry not in self._noted and len(self._noted) < MAX_NOTED:
            self._noted.add(registry)
            self._context.log.warning(
                "this registry is not shown our identity: registry=%s; if it is yours, list it under allow of the "
                "instance of azure_acr",
                registry,
            )
