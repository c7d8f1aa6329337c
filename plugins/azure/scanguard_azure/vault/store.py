"""The secret store ``keyvault:vault/secret[/version]``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from scanguard import PluginContext, SecretUnavailableError
from scanguard_azure.identity import Identity, IdentityError
from scanguard_azure.kept import Fetched, KeptValues
from scanguard_azure.vault.answer import MAX_ANSWER_BYTES, read_secret
from scanguard_azure.vault.config import KeyVaultConfig
from scanguard_azure.vault.reference import VaultReference
from scanguard_azure.vault.refusals import by_status, nobody, unavailable, unreachable, wrong

if TYPE_CHECKING:
    from azure.keyvault.secrets.aio import SecretClient

ANSWER_TIMEOUT_S: Final = 20.0
"""Longest wait for a secret, tokens included; the engine itself gives up after 30 s."""
VERSION_FRESH: Final = timedelta(hours=6)
"""A version's value never changes; it is asked for again because it may have been disabled."""
_PLAIN: Final = {"Accept-Encoding": "identity"}
"""A body that is compressed all the same is unreadable; so nobody's compression has to be trusted."""


class KeyVaultSecrets:
    """Reads secrets from Azure Key Vault with our own identity; close it with :meth:`aclose`.

    A token is asked for only when a vault of the configured cloud demands it, for that cloud's Key Vault and nothing
    else (``verify_challenge_resource``); redirects are not followed.

    Args:
        config: Options.
        context: What the engine lends.
        transport: Makes the transport of each vault's client; Azure's own by default.
    """

    def __init__(
        self, config: KeyVaultConfig, context: PluginContext, transport: Callable[[], Any] | None = None
    ) -> None:
        self._config = config
        self._clock = context.clock
        self._identity = Identity(config)
        self._transport = transport
        self._clients: dict[str, SecretClient] = {}
        self._kept = KeptValues(context.clock, context.log, stale=timedelta(seconds=config.stale_s))

    async def resolve(self, locator: str) -> SecretStr:
        """The value of a secret.

        Errors:
            SecretError: a wrong reference, a refusal, a secret that is missing, disabled, empty, not begun or ended.
            SecretUnavailableError: the vault, or who gives tokens, does not answer, and no old value may be used.
        """
        reference = VaultReference.parse(locator)
        fresh = VERSION_FRESH if reference.version else timedelta(seconds=self._config.fresh_s)
        return await self._kept.get(str(reference), fresh, partial(self._fetch, reference))

    async def check(self) -> None:
        """Whether we have an identity at all; raises SecretError."""
        try:
            await self._identity.token(self._config.scope)
        except IdentityError as exc:
            raise SecretUnavailableError(f"Key Vault cannot be asked: {exc}") from exc

    async def aclose(self) -> None:
        """Close every client."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.close()
        await self._identity.aclose()

    async def _fetch(self, reference: VaultReference) -> Fetched:
        from azure.core.exceptions import AzureError, ClientAuthenticationError  # noqa: PLC0415  # only where it is used

        host = f"{reference.vault}.{self._config.suffix}"
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._ask(reference, host)
        # The library's exceptions hold what was answered, and that may be the secret: they are not chained.
        except TimeoutError:
            raise unavailable(reference, f"{host} did not answer within {ANSWER_TIMEOUT_S:.0f} s") from None
        except ClientAuthenticationError as exc:
            raise nobody(reference, host, type(exc).__name__) from None
        except AzureError as exc:
            raise unreachable(reference, host, type(exc).__name__) from None
        except ValueError:
            why = f"{host} asks for a token that is not for Key Vault, and gets none; is dns_suffix, or cloud, right?"
            raise wrong(reference, why) from None

    async def _ask(self, reference: VaultReference, host: str) -> Fetched:
        """The library signs in and sends; what comes back is read here, within limits."""
        from azure.core.rest import HttpRequest  # noqa: PLC0415  # as in _fetch

        path = "/".join(part for part in ("/secrets", reference.secret, reference.version) if part)
        asked: Any = self._client(host).send_request(HttpRequest("GET", path, headers=_PLAIN), stream=True)
        async with await asked as response:
            body = bytearray()
            async for chunk in response.iter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    raise unavailable(reference, f"{host} answered more than {MAX_ANSWER_BYTES:,} bytes")
            if response.status_code != 200:
                wait = response.headers.get("Retry-After", "")
                raise by_status(reference, host, response.status_code, bytes(body), wait)
            return read_secret(reference, host, bytes(body), self._clock.now())

    def _client(self, host: str) -> SecretClient:
        """One for each vault. What may be tried again, the engine tries again: the library waits only to connect."""
        if host not in self._clients:
            from azure.keyvault.secrets.aio import SecretClient  # noqa: PLC0415  # as in _fetch

            own = {"transport": self._transport()} if self._transport else {}
            self._clients[host] = SecretClient(
                f"https://{host}",
                self._identity.credential,
                verify_challenge_resource=True,
                permit_redirects=False,
                retry_total=2,
                retry_status=0,
                retry_backoff_max=2,
                connection_timeout=5,
                read_timeout=10,
                **own,
            )
        return self._clients[host]
