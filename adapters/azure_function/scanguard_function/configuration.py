"""Where the configuration comes from, and what keeps an app from working with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scanguard.errors import ConfigError
from scanguard_function.index import FILE_NAME, LANES_VARIABLE

if TYPE_CHECKING:
    from scanguard.app.loading import AppOptions, LoadedApp
    from scanguard.loader import Plugins

BLOB_VARIABLE: Final = "SCANGUARD_CONFIG_BLOB"
TEXT_VARIABLE: Final = "SCANGUARD_CONFIG"
CONNECTION: Final = "AzureWebJobsStorage"
"""Name of the connection of the queue triggers: the host's own account."""
ALL_LANES: Final = ("fresh", "bulk", "heavy")
LANES: Final = ("fresh", "bulk")
"""Lanes that functions serve: what needs disk, much CPU or many minutes waits for ``scanguard worker --lane heavy``."""
_REFERENCE: Final = "@Microsoft.KeyVault("
"""How the platform shows a reference that it could not resolve
(https://learn.microsoft.com/en-us/azure/app-service/app-service-key-vault-references)."""
_NEEDED: Final = ("SCANGUARD__", BLOB_VARIABLE, TEXT_VARIABLE, CONNECTION)


def load_app(environ: Mapping[str, str], folder: Path, plugins: Plugins | None = None) -> LoadedApp:
    """Configuration and plugins, checked.

    Errors:
        ConfigError, PluginError: it cannot work; everything that is wrong.
    """
    from scanguard.app.loading import load  # noqa: PLC0415  # an import error there has to be told by Health

    loaded = load(_options(environ, folder), plugins)
    if loaded.bound.settings.backend is None:
        raise ConfigError(
            "backend: the embedded store is on the disk of one instance, and is lost with it; choose one that all "
            "instances share, such as `backend: {plugin: azure_storage, account: NAME}`"
        )
    return loaded


def refuse_references(environ: Mapping[str, str]) -> None:
    """Raise ConfigError when a setting that nothing works without is a reference that was not resolved."""
    unresolved = sorted(name for name in unresolved_references(environ) if name.startswith(_NEEDED))
    if unresolved:
        raise ConfigError(
            f"the platform did not resolve the Key Vault reference in {', '.join(unresolved)}: check that the secret "
            "exists and that the app's identity has the role Key Vault Secrets User, then restart the app"
        )


def refuse_unknown_lanes(environ: Mapping[str, str]) -> None:
    """Raise ConfigError when a lane is to be served that there is not: its queue would be nobody's."""
    unknown = [lane for lane in lanes(environ) if lane not in ALL_LANES]
    if unknown:
        raise ConfigError(f"{LANES_VARIABLE}: there is no lane {unknown[0]!r}; there are {', '.join(ALL_LANES)}")


def lanes(environ: Mapping[str, str]) -> list[str]:
    """The lanes that functions serve."""
    return [lane.strip() for lane in environ.get(LANES_VARIABLE, ",".join(LANES)).split(",") if lane.strip()]


def unresolved_references(environ: Mapping[str, str]) -> Iterator[str]:
    """Names of app settings that still hold a Key Vault reference instead of its value."""
    return (name for name, value in environ.items() if value.startswith(_REFERENCE))


def _options(environ: Mapping[str, str], folder: Path) -> AppOptions:
    """From a blob, else from the app setting (text, or paths of files), else from the file in the package."""
    from scanguard.app.loading import AppOptions  # noqa: PLC0415  # see load_app
    from scanguard.settings.load import ConfigText  # noqa: PLC0415  # as above

    if url := environ.get(BLOB_VARIABLE):
        from scanguard_function.blob import read_blob  # noqa: PLC0415  # needs an identity: slow to load

        return AppOptions(text=ConfigText(read_blob(url, environ), BLOB_VARIABLE), environ=environ)
    given = environ.get(TEXT_VARIABLE, "")
    if "\n" in given or given.lstrip().startswith("{"):
        return AppOptions(text=ConfigText(given, f"app setting {TEXT_VARIABLE}"), environ=environ)
    packaged = folder / FILE_NAME
    if not given and packaged.is_file():
        return AppOptions(config=(packaged,), environ=environ)
    if not given:
        raise ConfigError(
            f"there is no configuration: put {FILE_NAME} into the package, or set {TEXT_VARIABLE} or {BLOB_VARIABLE}"
        )
    return AppOptions(environ=environ)
