"""What this distribution offers: every record, no logic."""

from __future__ import annotations

from collections.abc import Iterable

from scanguard import ObserverSpec, hookimpl
from scanguard_azure.monitor import exporters, is_wanted

scanguard_api_version = 1


@hookimpl
def scanguard_observers() -> Iterable[ObserverSpec]:
    """Azure Monitor."""
    yield ObserverSpec(
        name="azure_monitor",
        wanted=is_wanted,
        open=exporters,
        description="Traces, metrics and events in Application Insights, named by its connection string.",
    )
