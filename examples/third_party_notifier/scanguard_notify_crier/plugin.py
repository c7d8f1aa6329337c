"""Registers the notifier."""

from collections.abc import Iterable

from scanguard import NotifierSpec, hookimpl

from scanguard_notify_crier.config import CrierConfig
from scanguard_notify_crier.notifier import CrierNotifier

scanguard_api_version = 1


@hookimpl
def scanguard_notifiers() -> Iterable[NotifierSpec]:
    """Offer the notifier."""
    yield NotifierSpec(
        name="crier",
        config=CrierConfig,
        build=CrierNotifier,
        description="Posts verdicts to a room of the chat Crier",
    )
