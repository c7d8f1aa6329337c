"""What this distribution offers: every record, no logic."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from scanguard import (
    BackendSpec,
    EventSourceSpec,
    ObserverSpec,
    PlatformSpec,
    RegistryCredentialSpec,
    SecretStoreSpec,
    SinkSpec,
    SweepSpec,
    hookimpl,
)
from scanguard_azure.acr import accepts_acr, parse_acr
from scanguard_azure.arm import limits
from scanguard_azure.arm.config import AzureConfig
from scanguard_azure.arm.ids import outline, owns, subscription_of
from scanguard_azure.dead_letters.config import DeadLetterConfig
from scanguard_azure.monitor import exporters, is_wanted
from scanguard_azure.registry.config import AcrConfig
from scanguard_azure.results_config import SWEEP_EVERY, ResultsConfig
from scanguard_azure.storage_config import StorageConfig
from scanguard_azure.vault.config import KeyVaultConfig

if TYPE_CHECKING:
    from scanguard import Backend, CredentialSource, DeploymentPlatform, PluginContext, SecretStore, Sink, Sweep

scanguard_api_version = 1


def _storage(config: Any, context: PluginContext) -> AbstractAsyncContextManager[Backend]:  # noqa: ANN401  # StorageConfig
    from scanguard_azure.storage_backend import open_storage  # noqa: PLC0415  # when it is used

    return open_storage(config, context)


@hookimpl
def scanguard_backends() -> Iterable[BackendSpec]:
    """The backend."""
    yield BackendSpec(
        name="azure_storage",
        config=StorageConfig,
        open=_storage,
        description="Azure Storage: queues, tables and blobs of one account, for any number of workers.",
    )


def _results(config: Any, context: PluginContext) -> Sink:  # noqa: ANN401  # ResultsConfig
    from scanguard_azure.results_sink import AzureResultsSink  # noqa: PLC0415  # when it is used

    return AzureResultsSink(config, context)


@hookimpl
def scanguard_sinks() -> Iterable[SinkSpec]:
    """The sink."""
    yield SinkSpec(
        name="azure_results",
        config=ResultsConfig,
        build=_results,
        description="Azure Storage: every verdict as JSON blobs and as rows of two tables.",
    )


def _platform(config: Any, context: PluginContext) -> DeploymentPlatform:  # noqa: ANN401  # AzureConfig
    from scanguard_azure.arm.platform import AzurePlatform  # noqa: PLC0415  # when it is used

    return AzurePlatform(config, context)


@hookimpl
def scanguard_platforms() -> Iterable[PlatformSpec]:
    """Container groups, container apps and jobs."""
    yield PlatformSpec(
        name="azure",
        config=AzureConfig,
        build=_platform,
        owns=owns,
        description="Azure Resource Manager: what container groups, container apps and jobs run.",
        outline=outline,
        quota=limits.READS,
        requests_per_call=limits.READS_PER_WORKLOAD,
        quota_key=subscription_of,
    )


@hookimpl
def scanguard_event_sources() -> Iterable[EventSourceSpec]:
    """Pushes to container registries."""
    yield EventSourceSpec(
        name="acr",
        accepts=accepts_acr,
        parse=parse_acr,
        description="Images pushed to Azure Container Registry, by Event Grid or as CloudEvents.",
    )


def _inventory(config: Any, context: PluginContext) -> Sweep:  # noqa: ANN401  # AzureConfig
    from scanguard_azure.arm.inventory import AzureInventory  # noqa: PLC0415  # when it is used

    return AzureInventory(config, context)


def _dead_letters(config: Any, context: PluginContext) -> Sweep:  # noqa: ANN401  # DeadLetterConfig
    from scanguard_azure.dead_letters.sweep import DeadLetterSweep  # noqa: PLC0415  # when it is used

    return DeadLetterSweep(config, context)


def _retention(config: Any, context: PluginContext) -> Sweep:  # noqa: ANN401  # ResultsConfig
    from scanguard_azure.results_sweep import ResultsSweep  # noqa: PLC0415  # when it is used

    return ResultsSweep(config, context)


@hookimpl
def scanguard_sweeps() -> Iterable[SweepSpec]:
    """The periodic jobs."""
    yield SweepSpec(
        name="azure_results",
        config=ResultsConfig,
        build=_retention,
        every=lambda config: SWEEP_EVERY if config.retention else None,
        description="Azure Storage: removes results older than the retention.",
    )
    yield SweepSpec(
        name="azure",
        config=AzureConfig,
        build=_inventory,
        every=lambda config: config.inventory_every,
        description="Azure Resource Graph: lists every workload, so that each is looked at again.",
        lists_all=True,
        owns=owns,
        quota=limits.QUERIES,
    )
    yield SweepSpec(
        name="eventgrid_dead_letters",
        config=DeadLetterConfig,
        build=_dead_letters,
        every=lambda config: config.every,
        description="Azure Storage: hands over the events that Event Grid could not deliver.",
    )


def _vault(config: Any, context: PluginContext) -> SecretStore:  # noqa: ANN401  # KeyVaultConfig
    from scanguard_azure.vault.store import KeyVaultSecrets  # noqa: PLC0415  # when it is used

    return KeyVaultSecrets(config, context)


@hookimpl
def scanguard_secret_stores() -> Iterable[SecretStoreSpec]:
    """The secret store."""
    yield SecretStoreSpec(
        name="keyvault",
        config=KeyVaultConfig,
        build=_vault,
        description="Azure Key Vault: vault/secret[/version]",
    )


def _registries(config: Any, context: PluginContext) -> CredentialSource:  # noqa: ANN401  # AcrConfig
    from scanguard_azure.registry.credentials import AcrCredentials  # noqa: PLC0415  # when it is used

    return AcrCredentials(config, context)


@hookimpl
def scanguard_registry_credentials() -> Iterable[RegistryCredentialSpec]:
    """The registry credentials; they are allowed by name, so they come before whoever happens to be logged in here."""
    yield RegistryCredentialSpec(
        name="azure_acr",
        config=AcrConfig,
        build=_registries,
        description="Azure container registries, with our own identity",
        priority=50,
    )


@hookimpl
def scanguard_observers() -> Iterable[ObserverSpec]:
    """Azure Monitor."""
    yield ObserverSpec(
        name="azure_monitor",
        wanted=is_wanted,
        open=exporters,
        description="Traces, metrics and events in Application Insights, named by its connection string.",
    )
