"""What this distribution offers: every record, no logic."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from scanguard.hooks import (
    BackendSpec,
    DeploymentPlatform,
    EventSourceSpec,
    ObserverSpec,
    PlatformSpec,
    PluginContext,
    RegistryCredentialSpec,
    SecretStore,
    SecretStoreSpec,
    Sink,
    SinkSpec,
    Sweep,
    SweepSpec,
    hookimpl,
)
from scanguard.model.rate import Rate
from scanguard.oci.credentials import CredentialSource
from scanguard.ports import Backend
from scanguard_azure.acr import accepts_acr, parse_acr
from scanguard_azure.arm.config import AzureConfig
from scanguard_azure.arm.ids import outline, owns, subscription_of
from scanguard_azure.dead_letters.config import DeadLetterConfig
from scanguard_azure.monitor import exporters, is_wanted
from scanguard_azure.registry.config import AcrConfig
from scanguard_azure.results_config import SWEEP_EVERY, ResultsConfig
from scanguard_azure.storage_config import StorageConfig
from scanguard_azure.vault.config import KeyVaultConfig

scanguard_api_version = 1


@hookimpl
def scanguard_backends() -> Iterable[BackendSpec]:
    """Offer Azure Storage: every state, message and report of the engine."""
    yield BackendSpec(
        name="azure_storage",
        config=StorageConfig,
        open=_open_storage,
        description="Azure Storage: queues, tables and blobs of one account, for any number of workers.",
    )


@hookimpl
def scanguard_platforms() -> Iterable[PlatformSpec]:
    """Offer Azure: container groups, container apps and jobs."""
    yield PlatformSpec(
        name="azure",
        config=AzureConfig,
        build=_build_platform,
        owns=owns,
        description="Reads container groups, container apps and jobs from Azure Resource Manager.",
        outline=outline,
        quota=(Rate.parse("80/5s"),),  # of 250 at once and 25 a second, so that others find room
        requests_per_call=2,  # the workload, and its revisions or executions
        quota_key=subscription_of,
    )


@hookimpl
def scanguard_event_sources() -> Iterable[EventSourceSpec]:
    """Offer pushes to container registries."""
    yield EventSourceSpec(
        name="acr",
        accepts=accepts_acr,
        parse=parse_acr,
        description="Images pushed to Azure Container Registry, by Event Grid or as CloudEvents.",
    )


@hookimpl
def scanguard_sweeps() -> Iterable[SweepSpec]:
    """Offer the inventory, and what Event Grid could not deliver."""
    yield SweepSpec(
        name="azure",
        config=AzureConfig,
        build=_build_inventory,
        every=lambda config: config.inventory_every,
        description="Lists every container group, container app and job, so that each is looked at again.",
        lists_all=True,
        owns=owns,
        quota=(Rate.parse("10/5s"),),  # of 15 that Resource Graph allows
    )
    yield SweepSpec(
        name="eventgrid_dead_letters",
        config=DeadLetterConfig,
        build=_build_dead_letters,
        every=lambda config: config.every,
        description="Hands over the events that Event Grid could not deliver.",
    )
    yield SweepSpec(
        name="azure_results",
        config=ResultsConfig,
        build=_build_retention,
        every=lambda config: SWEEP_EVERY if config.retention else None,
        description="Azure Storage: removes results older than the retention.",
    )


@hookimpl
def scanguard_sinks() -> Iterable[SinkSpec]:
    """Offer results as blobs and rows."""
    yield SinkSpec(
        name="azure_results",
        config=ResultsConfig,
        build=_build_results,
        description="Azure Storage: every verdict as JSON blobs and as rows of two tables.",
    )


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


@hookimpl
def scanguard_observers() -> Iterable[ObserverSpec]:
    """Azure Monitor."""
    yield ObserverSpec(
        name="azure_monitor",
        wanted=is_wanted,
        open=exporters,
        description="Traces, metrics and events in Application Insights, named by its connection string.",
    )


def _open_storage(config: StorageConfig, context: PluginContext) -> AbstractAsyncContextManager[Backend]:
    from scanguard_azure.storage_backend import open_storage  # noqa: PLC0415  # plugins are imported at every start

    return open_storage(config, context)


def _build_platform(config: AzureConfig, context: PluginContext) -> DeploymentPlatform:
    from scanguard_azure.arm.platform import AzurePlatform  # noqa: PLC0415  # see above

    return AzurePlatform(config, context)


def _build_inventory(config: AzureConfig, context: PluginContext) -> Sweep:
    from scanguard_azure.arm.inventory import AzureInventory  # noqa: PLC0415  # see above

    return AzureInventory(config, context)


def _build_dead_letters(config: DeadLetterConfig, context: PluginContext) -> Sweep:
    from scanguard_azure.dead_letters.sweep import DeadLetterSweep  # noqa: PLC0415  # see above

    return DeadLetterSweep(config, context)


def _build_results(config: ResultsConfig, context: PluginContext) -> Sink:
    from scanguard_azure.results_sink import AzureResultsSink  # noqa: PLC0415  # see above

    return AzureResultsSink(config, context)


def _build_retention(config: ResultsConfig, context: PluginContext) -> Sweep:
    from scanguard_azure.results_sweep import ResultsSweep  # noqa: PLC0415  # see above

    return ResultsSweep(config, context)


def _build_vault(config: KeyVaultConfig, context: PluginContext) -> SecretStore:
    from scanguard_azure.vault.store import KeyVaultSecrets  # noqa: PLC0415  # see above

    return KeyVaultSecrets(config, context)


def _build_acr(config: AcrConfig, context: PluginContext) -> CredentialSource:
    from scanguard_azure.registry.credentials import AcrCredentials  # noqa: PLC0415  # see above

    return AcrCredentials(config, context)
