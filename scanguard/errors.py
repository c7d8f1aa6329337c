"""Every error scanguard raises, one tree.

A class exists where a caller would *do* something different. Every error carries the plugin and the target
it concerns and whether trying again later can help; its text is safe to show to anybody (no secret, no body
of a foreign answer beyond what was redacted before).

::

    ScanguardError
    ├── ConfigError
    ├── InvalidReferenceError
    ├── EventError
    ├── SecretError
    │   └── SecretUnavailableError
    ├── BackendError
    │   └── ConflictError
    ├── RegistryError
    │   ├── ImageNotFoundError
    │   ├── RegistryAuthError
    │   ├── RegistryThrottledError
    │   ├── RegistryUnavailableError
    │   ├── RegistryRefusedError
    │   ├── PlatformMismatchError
    │   ├── ImageCorruptError
    │   └── ImageTooLargeError
    ├── PluginError
    │   ├── PluginLoadError
    │   ├── PluginMissingError
    │   ├── PluginConflictError
    │   └── PluginContractError
    ├── ScanError
    │   ├── ScanTargetNotFoundError
    │   ├── ScanUnsupportedError
    │   ├── ScannerAuthError
    │   ├── ScannerUnavailableError
    │   ├── ScannerThrottledError
    │   ├── ScanTimeoutError
    │   └── ScannerOutputError
    ├── PlatformError
    │   ├── PlatformForbiddenError
    │   └── PlatformThrottledError
    ├── SinkError
    ├── NotifyError
    │   └── NotifyRefusedError
    ├── ActionError
    ├── SweepError
    ├── PolicyError
    ├── AddressRefusedError
    └── ProcessError
"""

from __future__ import annotations

from typing import ClassVar


class ScanguardError(Exception):
    """Base of every error scanguard raises.

    Args:
        message: What went wrong, where, and what to do about it; safe to show.
        plugin: Name of the plugin (or instance) concerned, if one is.
        target: What was being worked on: an image reference, a destination, a file.
        retry_after_s: Seconds the other side asked to be left alone, when it said so.
    """

    is_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        plugin: str | None = None,
        target: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.plugin = plugin
        self.target = target
        self.retry_after_s = retry_after_s


class ConfigError(ScanguardError):
    """The configuration cannot be used; raised before any work. ``problems`` holds one line per fault."""

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), target: str | None = None) -> None:
        super().__init__(message, target=target)
        self.problems = problems


class InvalidReferenceError(ScanguardError):
    """A text is no image reference; ``part`` names the part that is wrong (``tag``, ``digest`` …)."""

    def __init__(self, message: str, *, part: str, target: str | None = None) -> None:
        super().__init__(message, target=target)
        self.part = part


class EventError(ScanguardError):
    """An event cannot be understood and never will be: drop it, visibly."""


class SecretError(ScanguardError):
    """A secret reference does not resolve. The text names the reference, never the value."""


class SecretUnavailableError(SecretError):
    """The secret is where it should be, but whoever keeps it does not answer now; try again."""

    is_retryable = True


class BackendError(ScanguardError):
    """The state store, queue or report store failed; try again."""

    is_retryable = True


class ConflictError(BackendError):
    """Somebody else changed the row first; read it again."""


class RegistryError(ScanguardError):
    """A registry, or a local image source, did not give what was asked for."""


class ImageNotFoundError(RegistryError):
    """No such repository, tag, digest, file or folder (private ones look the same)."""


class RegistryAuthError(RegistryError):
    """The registry refuses the credentials, or wants some and none are configured."""


class RegistryThrottledError(RegistryError):
    """The registry asks to slow down (429); see ``retry_after_s``."""

    is_retryable = True


class RegistryUnavailableError(RegistryError):
    """The registry cannot be reached, hangs, or answers 5xx."""

    is_retryable = True


class RegistryRefusedError(RegistryError):
    """scanguard refuses: a scheme, host, redirect or token realm that the configuration does not allow."""


class PlatformMismatchError(RegistryError):
    """The image exists, but not for the platform asked for."""


class ImageCorruptError(RegistryError):
    """Bytes do not match their digest, or a manifest, layer or archive breaks its format."""


class ImageTooLargeError(RegistryError):
    """A limit on bytes, entries, ratio, depth or time was reached while reading an image."""


class PluginError(ScanguardError):
    """A plugin is at fault; everything else goes on."""


class PluginLoadError(PluginError):
    """Importing or registering a plugin failed."""


class PluginMissingError(PluginError):
    """The configuration names a plugin that is not installed; the text says how to install it."""


class PluginConflictError(PluginError):
    """Two plugins offer a record of the same kind and name."""


class PluginContractError(PluginError):
    """A plugin returned or raised what its contract forbids."""


class ScanError(ScanguardError):
    """A scan did not produce a report."""


class ScanTargetNotFoundError(ScanError):
    """The scanner cannot find the image."""


class ScanUnsupportedError(ScanError):
    """The scanner cannot read this kind of image."""


class ScannerAuthError(ScanError):
    """The scanner refuses our credentials."""


class ScannerUnavailableError(ScanError):
    """The scanner cannot be reached or fails on its side."""

    is_retryable = True


class ScannerThrottledError(ScanError):
    """The scanner asks to slow down; obeyed without using up an attempt."""

    is_retryable = True


class ScanTimeoutError(ScanError):
    """The scan took longer than its deadline."""

    is_retryable = True


class ScannerOutputError(ScanError):
    """The scanner's answer cannot be read, or does not belong to the image asked for."""


class PlatformError(ScanguardError):
    """The platform that runs a deployment did not describe it."""

    is_retryable = True


class PlatformForbiddenError(PlatformError):
    """The platform may not read a deployment. The text names the role to grant; the verdict is unknown till then."""

    is_retryable = False


class PlatformThrottledError(PlatformError):
    """The platform asks to slow down; obeyed without using up an attempt."""


class SinkError(ScanguardError):
    """A sink did not store a record."""

    is_retryable = True


class NotifyError(ScanguardError):
    """A notifier did not deliver a notice."""

    is_retryable = True


class NotifyRefusedError(NotifyError):
    """A notice will not be taken, now or later: the destination is gone, refuses it, or must not be used."""

    is_retryable = False


class ActionError(ScanguardError):
    """A platform did not carry out an action."""

    is_retryable = True


class SweepError(ScanguardError):
    """A periodic job did not do a page."""

    is_retryable = True


class PolicyError(ScanguardError):
    """A policy could not be evaluated ("policy says no" is a verdict, never an error)."""


class AddressRefusedError(ScanguardError):
    """A connection was not opened: the name leads to an address that this client may not talk to."""


class ProcessError(ScanguardError):
    """A child process did not start, did not end in time, or said more than its limit."""
