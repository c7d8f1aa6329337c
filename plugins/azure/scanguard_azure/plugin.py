"""What this distribution offers: every record, no logic."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from scanguard import BackendSpec, ObserverSpec, SinkSpec, SweepSpec, hookimpl
from scanguard_azure.monitor import exporters, is_wanted
from scanguard_azure.results_config import SWEEP_EVERY, ResultsConfig
from scanguard_azure.storage_config import StorageConfig

if TYPE_CHECKING:
    from scanguard import Backend, PluginContext, Sink, Sweep

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


@hookimpl
def scanguard_observers() -> Iterable[ObserverSpec]:
    """Azure Monitor."""
    yield ObserverSpec(
        name="azure_monitor",
        wanted=is_wanted,
        open=exporters,
        description="Traces, metrics and events in Application Insights, named by its connection string.",
    )
