"""What this distribution offers: every record, no logic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from scanguard.hooks import (
    DeploymentPlatform,
    EventSourceSpec,
    PlatformSpec,
    PluginContext,
    Sweep,
    SweepSpec,
    hookimpl,
)
from scanguard.model.rate import Rate
from scanguard_azure.acr import accepts_acr, parse_acr
from scanguard_azure.arm.config import AzureConfig
from scanguard_azure.arm.ids import outline, owns, subscription_of
from scanguard_azure.dead_letters.config import DeadLetterConfig

scanguard_api_version = 1
READS: Final = (Rate.parse("240/30s"),)
"""Of each subscription. Azure allows 250 at once and 25 a second after that; the rest is for others with this identity.

A shorter window would allow more, and lose it again: a turn lasts a thirtieth of the window, and a queue that brings
its message later has lost it.
"""
QUERIES: Final = (Rate.parse("60/m"),)
"""Of Resource Graph, which allows 15 in 5 seconds."""


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
        quota=READS,
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
        quota=QUERIES,
    )
    yield SweepSpec(
        name="eventgrid_dead_letters",
        config=DeadLetterConfig,
        build=_build_dead_letters,
        every=lambda config: config.every,
        description="Hands over the events that Event Grid could not deliver.",
    )


def _build_platform(config: AzureConfig, context: PluginContext) -> DeploymentPlatform:
    from scanguard_azure.arm.platform import AzurePlatform  # noqa: PLC0415  # plugins are imported at every start

    return AzurePlatform(config, context)


def _build_inventory(config: AzureConfig, context: PluginContext) -> Sweep:
    from scanguard_azure.arm.inventory import AzureInventory  # noqa: PLC0415  # see above

    return AzureInventory(config, context)


def _build_dead_letters(config: DeadLetterConfig, context: PluginContext) -> Sweep:
    from scanguard_azure.dead_letters.sweep import DeadLetterSweep  # noqa: PLC0415  # see above

    return DeadLetterSweep(config, context)
