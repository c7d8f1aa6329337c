"""What this distribution offers: every record, no logic."""

from __future__ import annotations

from collections.abc import Iterable

from scanguard.hooks import DeploymentPlatform, EventSourceSpec, PlatformSpec, PluginContext, hookimpl
from scanguard_azure.acr import accepts_acr, parse_acr
from scanguard_azure.arm.config import AzureConfig
from scanguard_azure.arm.ids import owns

scanguard_api_version = 1


@hookimpl
def scanguard_platforms() -> Iterable[PlatformSpec]:
    """Offer Azure: container groups, container apps and jobs."""
    yield PlatformSpec(
        name="azure",
        config=AzureConfig,
        build=_build_platform,
        owns=owns,
        description="Reads container groups, container apps and jobs from Azure Resource Manager.",
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


def _build_platform(config: AzureConfig, context: PluginContext) -> DeploymentPlatform:
    from scanguard_azure.arm.platform import AzurePlatform  # noqa: PLC0415  # plugins are imported at every start

    return AzurePlatform(config, context)
