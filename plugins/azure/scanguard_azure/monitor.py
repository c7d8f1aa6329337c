"""Azure Monitor: traces, metrics and events in Application Insights, when the environment names one.

The exporter is Microsoft's (``azure-monitor-opentelemetry-exporter``); what is made of each signal there is at
https://learn.microsoft.com/en-us/azure/azure-monitor/app/opentelemetry-overview and in its source (1.0.0b58).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from scanguard import ConfigError, Exporters

CONNECTION: Final = "APPLICATIONINSIGHTS_CONNECTION_STRING"
_EVENT_NAME: Final = "microsoft.custom_event.name"
"""A record with this attribute lands in ``customEvents``, under its value."""
_QUIET: Final = {
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
}
"""What the exporter would tell, and ask, Microsoft about itself. The environment may say otherwise."""
_RESOURCE: Final = {
    "faas.name": "WEBSITE_SITE_NAME",
    "faas.instance": "WEBSITE_INSTANCE_ID",
    "cloud.region": "REGION_NAME",
    "container.name": "CONTAINER_APP_REPLICA_NAME",
}
"""Attributes of who sends, and the variable of Functions or Container Apps that holds each."""
log = logging.getLogger("scanguard.azure.monitor")


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Whether the environment names an Application Insights resource."""
    return bool(environ.get(CONNECTION, "").strip())


def exporters(environ: Mapping[str, str]) -> Exporters:
    """Exporters to the resource that the environment names; no network yet, and no file is kept for later.

    Functions set the variable for their own host, so without Microsoft's exporter nothing is sent from here, and that
    is said.

    Errors:
        ConfigError: the connection string makes no sense.
    """
    if not _is_installed():
        log.warning('%s is set, and nothing sends there: pip install "scanguard[azure-monitor]"', CONNECTION)
        return Exporters()
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
    from azure.monitor.opentelemetry.exporter import (  # noqa: PLC0415  # 0.7 s, for those who export
        AzureMonitorLogExporter,
        AzureMonitorMetricExporter,
        AzureMonitorTraceExporter,
    )

    from scanguard_azure.monitor_spans import NamedComponents  # noqa: PLC0415  # as above

    text = environ[CONNECTION].strip().rstrip(";")
    try:
        spans = AzureMonitorTraceExporter(connection_string=text, disable_offline_storage=True)
        return Exporters(
            spans=NamedComponents(spans),
            metrics=AzureMonitorMetricExporter(connection_string=text, disable_offline_storage=True),
            logs=AzureMonitorLogExporter(connection_string=text, disable_offline_storage=True),
            resource=_resource(environ),
            event_attribute=_EVENT_NAME,
        )
    except ValueError as exc:
        raise ConfigError(
            f"{CONNECTION} is no connection string of Application Insights: copy it from the resource's overview page",
            target=CONNECTION,
        ) from exc


def _is_installed() -> bool:
    try:
        return find_spec("azure.monitor.opentelemetry.exporter") is not None
    except ModuleNotFoundError:
        return False


def _resource(environ: Mapping[str, str]) -> dict[str, str]:
    """By https://opentelemetry.io/docs/specs/semconv/resource/cloud-provider/azure/."""
    found = {name: environ[variable] for name, variable in _RESOURCE.items() if environ.get(variable)}
    if "FUNCTIONS_WORKER_RUNTIME" in environ:
        return {"cloud.provider": "azure", "cloud.platform": "azure_functions", **found}
    if "CONTAINER_APP_NAME" in environ:
        return {"cloud.provider": "azure", "cloud.platform": "azure_container_apps", **found}
    return found
