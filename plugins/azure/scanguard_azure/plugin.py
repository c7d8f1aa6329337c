"""What this distribution offers: every record, no logic."""

from __future__ import annotations

from collections.abc import Iterable

from scanguard.hooks import PluginContext, RegistryCredentialSpec, SecretStore, SecretStoreSpec, hookimpl
from scanguard.oci.credentials import CredentialSource
from scanguard_azure.registry.config import AcrConfig
from scanguard_azure.vault.config import KeyVaultConfig

scanguard_api_version = 1


@hookimpl
def scanguard_secret_stores() -> Iterable[SecretStoreSpec]:
    """Offer Key Vault."""
    yield SecretStoreSpec(
        name="keyvault",
        config=KeyVaultConfig,
        build=_build_vault,
        description="Azure Key Vault: vault/secret[/version]",
    )


@hookimpl
def scanguard_registry_credentials() -> Iterable[RegistryCredentialSpec]:
    """Offer Azure's registries; they are allowed by name, so they come before whoever happens to be logged in here."""
    yield RegistryCredentialSpec(
        name="azure_acr",
        config=AcrConfig,
        build=_build_acr,
        description="Azure container registries, with our own identity",
        priority=50,
    )


def _build_vault(config: KeyVaultConfig, context: PluginContext) -> SecretStore:
    from scanguard_azure.vault.store import KeyVaultSecrets  # noqa: PLC0415  # plugins are imported at every start

    return KeyVaultSecrets(config, context)


def _build_acr(config: AcrConfig, context: PluginContext) -> CredentialSource:
    from scanguard_azure.registry.credentials import AcrCredentials  # noqa: PLC0415  # as above

    return AcrCredentials(config, context)
