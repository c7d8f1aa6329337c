"""Scan every container image that starts running; this module is what plugin authors import.

Names load when they are first touched, so importing :mod:`scanguard` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scanguard.errors import (
        ActionError,
        AddressRefusedError,
        BackendError,
        ConfigError,
        ConflictError,
        EventError,
        ImageCorruptError,
        ImageNotFoundError,
        ImageTooLargeError,
        InvalidReferenceError,
        NotifyError,
        NotifyRefusedError,
        PlatformError,
        PlatformForbiddenError,
        PlatformMismatchError,
        PlatformThrottledError,
        PluginError,
        PolicyError,
        ProcessError,
        RegistryAuthError,
        RegistryError,
        RegistryRefusedError,
        RegistryThrottledError,
        RegistryUnavailableError,
        ScanError,
        ScanguardError,
        ScannerAuthError,
        ScannerOutputError,
        ScannerThrottledError,
        ScannerUnavailableError,
        ScanTargetNotFoundError,
        ScanTimeoutError,
        ScanUnsupportedError,
        SecretError,
        SecretUnavailableError,
        SinkError,
        SweepError,
    )
    from scanguard.hooks import (
        API_VERSION,
        BackendSpec,
        BatchScanner,
        CommandSpec,
        DeploymentPlatform,
        EventSourceSpec,
        Exporters,
        Notice,
        Notifier,
        NotifierSpec,
        ObserverSpec,
        PlatformSpec,
        PluginConfig,
        PluginContext,
        Policy,
        PolicyInput,
        PolicySpec,
        RegistryCredentialSpec,
        Scanner,
        ScannerSpec,
        ScanRequest,
        SecretStore,
        SecretStoreSpec,
        Sink,
        SinkSpec,
        Sweep,
        SweepPage,
        SweepSpec,
        Ticket,
        hookimpl,
    )
    from scanguard.model.deployment import Container, Deployment, Event
    from scanguard.model.finding import ComplianceCheck, Cvss, Epss, Finding, Kev, Package, SecretFinding
    from scanguard.model.image import Platform, ResolvedImage
    from scanguard.model.merged import MergedFinding, MergedReport, Said
    from scanguard.model.rate import Rate
    from scanguard.model.reference import ImageReference
    from scanguard.model.report import Coverage, CoverageItem, CoverageStatus, ScannerInfo, ScanReport
    from scanguard.model.secret import SecretRef
    from scanguard.model.severity import Severity
    from scanguard.model.verdict import (
        Action,
        ImageVerdict,
        Outcome,
        PolicyDecision,
        Reason,
        ScannerOutcome,
        ScannerStatus,
        Verdict,
    )
    from scanguard.oci.blobs import ImageFile, ImageReader
    from scanguard.oci.credentials import CredentialSource, RegistryCredential
    from scanguard.ports import (
        Arrival,
        Backend,
        Clock,
        Delivery,
        Lane,
        Message,
        Outgoing,
        QueueDepth,
        Receipt,
        RecordQuery,
        Row,
    )
    from scanguard.process import run_process

_HOMES = {
    "scanguard.errors": (
        "ActionError AddressRefusedError BackendError ConfigError ConflictError EventError ImageCorruptError "
        "ImageNotFoundError ImageTooLargeError InvalidReferenceError NotifyError NotifyRefusedError PlatformError "
        "PlatformForbiddenError PlatformMismatchError PlatformThrottledError PluginError PolicyError ProcessError "
        "RegistryAuthError RegistryError "
        "RegistryRefusedError RegistryThrottledError RegistryUnavailableError ScanError ScanTargetNotFoundError "
        "ScanTimeoutError ScanUnsupportedError ScanguardError ScannerAuthError ScannerOutputError "
        "ScannerThrottledError ScannerUnavailableError SecretError SecretUnavailableError SinkError "
        "SweepError"
    ),
    "scanguard.hooks": (
        "API_VERSION BackendSpec BatchScanner CommandSpec DeploymentPlatform EventSourceSpec Exporters Notice Notifier "
        "NotifierSpec ObserverSpec PlatformSpec PluginConfig PluginContext Policy PolicyInput PolicySpec "
        "RegistryCredentialSpec ScanRequest Scanner ScannerSpec SecretStore SecretStoreSpec Sink SinkSpec "
        "Sweep SweepPage SweepSpec Ticket "
        "hookimpl"
    ),
    "scanguard.model.deployment": "Container Deployment Event",
    "scanguard.model.finding": "ComplianceCheck Cvss Epss Finding Kev Package SecretFinding",
    "scanguard.model.image": "Platform ResolvedImage",
    "scanguard.model.rate": "Rate",
    "scanguard.model.reference": "ImageReference",
    "scanguard.model.report": "Coverage CoverageItem CoverageStatus ScanReport ScannerInfo",
    "scanguard.model.secret": "SecretRef",
    "scanguard.model.severity": "Severity",
    "scanguard.model.merged": "MergedFinding MergedReport Said",
    "scanguard.model.verdict": "Action ImageVerdict Outcome PolicyDecision Reason ScannerOutcome ScannerStatus Verdict",
    "scanguard.oci.blobs": "ImageFile ImageReader",
    "scanguard.oci.credentials": "CredentialSource RegistryCredential",
    "scanguard.ports": "Arrival Backend Clock Delivery Lane Message Outgoing QueueDepth Receipt RecordQuery Row",
    "scanguard.process": "run_process",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "API_VERSION",
    "Action",
    "ActionError",
    "AddressRefusedError",
    "Arrival",
    "Backend",
    "BackendError",
    "BackendSpec",
    "BatchScanner",
    "Clock",
    "CommandSpec",
    "ComplianceCheck",
    "ConfigError",
    "ConflictError",
    "Container",
    "Coverage",
    "CoverageItem",
    "CoverageStatus",
    "CredentialSource",
    "Cvss",
    "Delivery",
    "Deployment",
    "DeploymentPlatform",
    "Epss",
    "Event",
    "EventError",
    "EventSourceSpec",
    "Exporters",
    "Finding",
    "ImageCorruptError",
    "ImageFile",
    "ImageNotFoundError",
    "ImageReader",
    "ImageReference",
    "ImageTooLargeError",
    "ImageVerdict",
    "InvalidReferenceError",
    "Kev",
    "Lane",
    "MergedFinding",
    "MergedReport",
    "Message",
    "Notice",
    "Notifier",
    "NotifierSpec",
    "NotifyError",
    "NotifyRefusedError",
    "ObserverSpec",
    "Outcome",
    "Outgoing",
    "Package",
    "Platform",
    "PlatformError",
    "PlatformForbiddenError",
    "PlatformMismatchError",
    "PlatformSpec",
    "PlatformThrottledError",
    "PluginConfig",
    "PluginContext",
    "PluginError",
    "Policy",
    "PolicyDecision",
    "PolicyError",
    "PolicyInput",
    "PolicySpec",
    "ProcessError",
    "QueueDepth",
    "Rate",
    "Reason",
    "Receipt",
    "RecordQuery",
    "RegistryAuthError",
    "RegistryCredential",
    "RegistryCredentialSpec",
    "RegistryError",
    "RegistryRefusedError",
    "RegistryThrottledError",
    "RegistryUnavailableError",
    "ResolvedImage",
    "Row",
    "Said",
    "ScanError",
    "ScanReport",
    "ScanRequest",
    "ScanTargetNotFoundError",
    "ScanTimeoutError",
    "ScanUnsupportedError",
    "ScanguardError",
    "Scanner",
    "ScannerAuthError",
    "ScannerInfo",
    "ScannerOutcome",
    "ScannerOutputError",
    "ScannerSpec",
    "ScannerStatus",
    "ScannerThrottledError",
    "ScannerUnavailableError",
    "SecretError",
    "SecretFinding",
    "SecretRef",
    "SecretStore",
    "SecretStoreSpec",
    "SecretUnavailableError",
    "Severity",
    "Sink",
    "SinkError",
    "SinkSpec",
    "Sweep",
    "SweepError",
    "SweepPage",
    "SweepSpec",
    "Ticket",
    "Verdict",
    "hookimpl",
    "run_process",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return list(__all__)
