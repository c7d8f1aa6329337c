"""The hooks a plugin may implement, and what all plugins together offer."""
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import pluggy

from scanguard.hooks.backends import BackendSpec
from scanguard.hooks.delivery import NotifierSpec, SinkSpec
from scanguard.hooks.observers import ObserverSpec
from scanguard.hooks.policy import PolicySpec
from scanguard.hooks.scanner import ScannerSpec
from scanguard.hooks.surroundings import (
    CommandSpec,
    EventSourceSpec,
    PlatformSpec,
    RegistryCredentialSpec,
    SecretStoreSpec,
)
from scanguard.hooks.sweeps import SweepSpec

API_VERSION: Final = 1
"""Version of this API. A plugin module says which it was written for: ``scanguard_api_version = 1``."""

hookspec = pluggy.HookspecMarker("scanguard")
hookimpl = pluggy.HookimplMarker("scanguard")


class Hooks:
    """The hooks a plugin may implement. Each is called once, at start, in no guaranteed order."""

    @hookspec
    def scanguard_scanners(self) -> Iterable[ScannerSpec]:
        """Offer scanners.

        Returns:
            One record per scanner; names are unique among installed scanners.

        Errors:
            An exception disables this plugin only, and ``scanguard plugins`` shows it. Two equal names stop
            the start when the configuration uses that name.

        Example:
            >>> @hookimpl
            ... def scanguard_scanners():
            ...     yield ScannerSpec(name="acme", config=AcmeConfig, build=AcmeScanner)
        """

    @hookspec
    def scanguard_sinks(self) -> Iterable[SinkSpec]:
        """Offer sinks: places that keep a copy of every verdict."""

    @hookspec
    def scanguard_notifiers(self) -> Iterable[NotifierSpec]:
        """Offer notifiers: ways to tell people."""

    @hookspec
    def scanguard_policies(self) -> Iterable[PolicySpec]:
        """Offer policies: rules that turn a merged report into a decision."""

    @hookspec
    def scanguard_platforms(self) -> Iterable[PlatformSpec]:
        """Offer platforms: places that run deployments and can describe them."""

    @hookspec
    def scanguard_sweeps(self) -> Iterable[SweepSpec]:
        """Offer periodic jobs: inventories, clearing up, events that others failed to deliver."""

    @hookspec
    def scanguard_event_sources(self) -> Iterable[EventSourceSpec]:
        """Offer event sources: kinds of event that are understood."""

    @hookspec
    def scanguard_registry_credentials(self) -> Iterable[RegistryCredentialSpec]:
        """Offer sources of registry credentials."""

    @hookspec
    def scanguard_secret_stores(self) -> Iterable[SecretStoreSpec]:
        """Offer secret stores: schemes of secret references."""

    @hookspec
    def scanguard_commands(self) -> Iterable[CommandSpec]:
        """Offer command groups of the CLI."""

    @hookspec
    def scanguard_backends(self) -> Iterable[BackendSpec]:
        """Offer backends: places where state, queue, reports and records are kept."""

    @hookspec
    def scanguard_observers(self) -> Iterable[ObserverSpec]:
        """Offer observers: places where traces, metrics and events go."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every record that loaded plugins offer, by kind and name; the loader makes it."""

    scanners: Mapping[str, ScannerSpec]
    sinks: Mapping[str, SinkSpec]
    notifiers: Mapping[str, NotifierSpec]
    policies: Mapping[str, PolicySpec]
    platforms: Mapping[str, PlatformSpec]
    event_sources: Mapping[str, EventSourceSpec]
    registry_credentials: Mapping[str, RegistryCredentialSpec]
    secret_stores: Mapping[str, SecretStoreSpec]
    commands: Mapping[str, CommandSpec]
    sweeps: Mapping[str, SweepSpec] = field(default_factory=dict)
    backends: Mapping[str, BackendSpec] = field(default_factory=dict)
    observers: Mapping[str, ObserverSpec] = field(default_factory=dict)
