"""What this distribution offers: every record, no logic."""

from __future__ import annotations

from collections.abc import Iterable

from scanguard.hooks import PluginContext, Sink, SinkSpec, hookimpl
from scanguard_azure.results_config import ResultsConfig

scanguard_api_version = 1


@hookimpl
def scanguard_sinks() -> Iterable[SinkSpec]:
    """Keep results in a storage account."""
    yield SinkSpec(
        name="azure_results",
        config=ResultsConfig,
        build=_results,
        description="Writes every verdict to blobs and table rows of an Azure storage account",
    )


def _results(config: ResultsConfig, context: PluginContext) -> Sink:
    from scanguard_azure.results_sink import AzureResultsSink  # noqa: PLC0415  # plugins are imported at every start

    return AzureResultsSink(config, context)
