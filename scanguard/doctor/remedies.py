"""What to do about an error, in words one can act on."""

from __future__ import annotations

from typing import Final

from scanguard.errors import (
    BackendError,
    ConfigError,
    NotifyError,
    NotifyRefusedError,
    PlatformError,
    PlatformForbiddenError,
    PlatformThrottledError,
    PluginContractError,
    RegistryAuthError,
    RegistryError,
    RegistryRefusedError,
    RegistryThrottledError,
    ScanguardError,
    ScannerAuthError,
    ScannerThrottledError,
    ScannerUnavailableError,
    SecretError,
    SinkError,
)

_REMEDIES: Final[tuple[tuple[type[ScanguardError], str], ...]] = (
    # The first class that fits; narrower ones stand before wider ones.
    (ConfigError, "correct the instance's options; `scanguard config check` checks them"),
    (
        SecretError,
        "make the secret available where scanguard runs (set the variable, mount the file, open the vault), or "
        "change the reference",
    ),
    (PluginContractError, "this is a fault of the plugin: upgrade it, or tell those who maintain it"),
    (ScannerAuthError, "check the credentials that the scanner's instance is configured with"),
    (ScannerThrottledError, "wait, and lower the quota of the scanner's instance if it comes back"),
    (ScannerUnavailableError, "check that the scanner's service or program is there and can be reached from here"),
    (
        RegistryAuthError,
        "log in again (`docker login REGISTRY` or `podman login REGISTRY`), or correct the credentials",
    ),
    (RegistryRefusedError, "allow it in the section `registries` of the configuration, if it is right"),
    (RegistryThrottledError, "wait; log in to the registry for a higher limit"),
    (RegistryError, "check the registry's name, and that it can be reached from here"),
    (SinkError, "check that the sink's destination is there, can be reached from here, and may be written"),
    (NotifyRefusedError, "correct the notifier's options as the message says"),
    (NotifyError, "check the notifier's address and credentials, and that it can be reached from here"),
    (PlatformForbiddenError, "grant the role that the message names to scanguard's identity"),
    (PlatformThrottledError, "wait, and lower the quota of the platform's instance if it comes back"),
    (PlatformError, "check the platform's options, and that its service can be reached with these credentials"),
    (BackendError, "see the area `data`"),
)


def remedy_for(error: ScanguardError) -> str:
    """What to do about it."""
    return next((words for kind, words in _REMEDIES if isinstance(error, kind)), "do as the message says")
