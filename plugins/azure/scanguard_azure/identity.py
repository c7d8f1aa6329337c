"""Who we are to Azure: one credential for each cloud and client id, made when it is first needed.

``DefaultAzureCredential`` finds a managed identity on Azure, and the developer's login (``az login``, environment)
elsewhere; see https://learn.microsoft.com/en-us/python/api/azure-identity/azure.identity.defaultazurecredential.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from pydantic import Field, SecretStr

from scanguard import PluginConfig
from scanguard_azure.clouds import CLOUDS, Cloud, CloudName

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

TOKEN_TIMEOUT_S: Final = 30.0
CLIENT_ID_VARIABLE: Final = "AZURE_CLIENT_ID"
"""Azure's own variable, which its libraries ignore when they are told that there is no client id."""
_GUID: Final = r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"


class IdentityConfig(PluginConfig):
    """Options of everything that signs in to Azure; other options are laid over these."""

    cloud: CloudName = Field(default=CloudName.PUBLIC, description="Which Azure: public, us_government or china.")
    client_id: str | None = Field(
        default=None,
        pattern=_GUID,
        description="Client id of the user-assigned identity to use. Default: AZURE_CLIENT_ID, else the "
        "system-assigned one, or your login.",
    )

    @property
    def addresses(self) -> Cloud:
        """Where this cloud answers."""
        return CLOUDS[self.cloud]


class IdentityError(Exception):
    """No token could be had; the text is safe to show. Callers turn it into an error of their own kind."""


class Identity:
    """Tokens, from a credential that is made when the first is asked for. Close it with :meth:`aclose`."""

    def __init__(self, config: IdentityConfig) -> None:
        self._config = config
        self._credential: AsyncTokenCredential | None = None

    @property
    def credential(self) -> AsyncTokenCredential:
        """For clients of Azure's own libraries; it remembers tokens until they end."""
        if self._credential is None:
            from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415  # half a second

            self._credential = DefaultAzureCredential(
                authority=self._config.addresses.authority.removeprefix("https://"),
                managed_identity_client_id=self._config.client_id or os.environ.get(CLIENT_ID_VARIABLE),
                exclude_interactive_browser_credential=True,
            )
        return self._credential

    async def token(self, scope: str) -> SecretStr:
        """An access token for a scope such as ``https://management.azure.com/.default``.

        Errors:
            IdentityError: there is no identity, or it is not given a token, within 30 s.
        """
        from azure.core.exceptions import AzureError  # noqa: PLC0415  # see credential

        try:
            async with asyncio.timeout(TOKEN_TIMEOUT_S):
                found = await self.credential.get_token(scope)
        except TimeoutError as exc:
            raise IdentityError(f"no token for {scope} within {TOKEN_TIMEOUT_S:.0f} s") from exc
        except (AzureError, ValueError) as exc:
            raise IdentityError(
                f"no identity is given a token for {scope} ({type(exc).__name__}): on Azure, assign a managed identity "
                "(and name its client_id when it is user-assigned); elsewhere, sign in with az login"
            ) from exc
        return SecretStr(found.token)

    async def aclose(self) -> None:
        """Close the credential's client."""
        credential, self._credential = self._credential, None
        if credential is not None:
            await credential.close()
