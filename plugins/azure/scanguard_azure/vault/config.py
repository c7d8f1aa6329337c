"""Options of the secret store ``keyvault``."""

from __future__ import annotations

from pydantic import Field

from scanguard_azure.identity import IdentityConfig

_SUFFIX = r"^[a-z0-9-]+(\.[a-z0-9-]+)+$"


class KeyVaultConfig(IdentityConfig):
    """Options of the one instance of ``keyvault``; none is needed."""

    dns_suffix: str | None = Field(
        default=None,
        pattern=_SUFFIX,
        max_length=200,
        description="Where vaults answer, as VAULT.dns_suffix, in a cloud with names of its own. Default: the cloud's.",
    )
    fresh_s: float = Field(
        default=900, ge=10, le=86_400, description="Seconds a value is used before the vault is asked again."
    )
    stale_s: float = Field(
        default=14_400,
        ge=0,
        le=86_400,
        description="Seconds beyond that for which it is used while the vault does not answer; 0 for never.",
    )

    @property
    def suffix(self) -> str:
        """What follows a vault's name."""
        return self.dns_suffix or self.addresses.vault_suffix

    @property
    def scope(self) -> str:
        """What a token is asked for."""
        return f"https://{self.suffix}/.default"
