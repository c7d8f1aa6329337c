"""The plugin API: hooks that register, and the objects they register.

A hook is a plain function that yields small typed records; it does no I/O and is never ``async``. The engine
builds the objects from the configuration and awaits their methods. Plugin authors import all of this from
:mod:`scanguard`.
"""

from __future__ import annotations

from scanguard.hooks.backends import BackendSpec
from scanguard.hooks.context import PluginConfig, PluginContext
from scanguard.hooks.delivery import Notice, Notifier, NotifierSpec, Sink, SinkSpec
from scanguard.hooks.observers import Exporters, ObserverSpec
from scanguard.hooks.policy import Policy, PolicyInput, PolicySpec
from scanguard.hooks.scanner import BatchScanner, Scanner, ScannerSpec, ScanRequest, Ticket
from scanguard.hooks.specs import API_VERSION, Catalog, Hooks, hookimpl, hookspec
from scanguard.hooks.surroundings import (
    CommandSpec,
    DeploymentPlatform,
    EventSourceSpec,
    PlatformSpec,
    RegistryCredentialSpec,
    SecretStore,
    SecretStoreSpec,
)
from scanguard.hooks.sweeps import Sweep, SweepPage, SweepSpec

__all__ = [
    "API_VERSION",
    "BackendSpec",
    "BatchScanner",
    "Catalog",
    "CommandSpec",
    "DeploymentPlatform",
    "EventSourceSpec",
    "Exporters",
    "Hooks",
    "Notice",
    "Notifier",
    "NotifierSpec",
    "ObserverSpec",
    "PlatformSpec",
    "PluginConfig",
    "PluginContext",
    "Policy",
    "PolicyInput",
    "PolicySpec",
    "RegistryCredentialSpec",
    "ScanRequest",
    "Scanner",
    "ScannerSpec",
    "SecretStore",
    "SecretStoreSpec",
    "Sink",
    "SinkSpec",
    "Sweep",
    "SweepPage",
    "SweepSpec",
    "Ticket",
    "hookimpl",
    "hookspec",
]
