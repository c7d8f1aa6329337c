"""What a person can do about an error that a verdict records by its class name."""

from __future__ import annotations

from typing import Final

_REGISTRY_AGAIN: Final = "it is tried again by itself; check that the registry can be reached from here"
_SCANNER_AGAIN: Final = "it is tried again by itself; check the scanner's address and health"

_ADVICE: Final = {
    "InvalidReferenceError": "correct the image name where the deployment is defined",
    "ImageNotFoundError": "check the spelling and the tag; a private image looks the same, so check `docker login` too",
    "RegistryAuthError": "log in with `docker login REGISTRY`, or configure credentials for this registry",
    "RegistryThrottledError": "wait, or log in: most registries allow more to accounts they know",
    "RegistryUnavailableError": _REGISTRY_AGAIN,
    "RegistryRefusedError": "if you trust this registry, allow it: --insecure-registry HOST, or in the configuration",
    "PlatformMismatchError": "name a platform the image was built for with --platform os/arch",
    "ImageCorruptError": "push the image again; what the registry holds does not match its digest",
    "ImageTooLargeError": "raise the limits in the configuration if the image is trusted",
    "ScanTargetNotFoundError": "check that the scanner can reach the registry and knows the image",
    "ScanUnsupportedError": "add a scanner that reads this kind of image to the chain",
    "ScannerAuthError": "check the scanner's credentials in the configuration",
    "ScannerUnavailableError": _SCANNER_AGAIN,
    "ScannerThrottledError": "nothing to do: the scanner asked to slow down, and is obeyed",
    "ScanTimeoutError": "scan again; if it stays, give the scanner more time, or a worker of its own",
    "ScannerOutputError": "update the scanner's plugin; what it answered cannot be read",
    "PluginContractError": "update the plugin, or report this to its author",
    "PluginMissingError": "install the plugin that the message names",
    "PlatformError": "check that the platform can be reached and that scanguard may read the resource",
    "PlatformForbiddenError": "grant the role that the message names to scanguard's identity",
    "PlatformThrottledError": "nothing to do: the platform asked to slow down, and is obeyed",
    "SweepError": "nothing to do: it is tried again; if it stays, look at what the message names",
    "SinkError": "check that the sink's destination can be reached and written",
    "NotifyError": "check the notifier's address and credentials, and that its service is up",
    "ConfigError": "correct the configuration, as `scanguard config check` says",
    "SecretError": "check that the secret reference names something that exists here",
}


def advice_for(error_kind: str) -> str:
    """A sentence without capital and full stop, or an empty text when there is nothing useful to say."""
    return _ADVICE.get(error_kind, "")
