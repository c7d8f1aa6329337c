"""What an application starts from: options, configuration and plugins, checked against each other.

Apart from the application itself, because a function app has to say what it offers long before it works.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from scanguard.app.intake import Intake
from scanguard.errors import ConfigError
from scanguard.loader import Plugins, load_plugins
from scanguard.settings.bind import Bound, bind
from scanguard.settings.load import ConfigText, load_settings

if TYPE_CHECKING:
    from scanguard.model.image import Platform
    from scanguard.oci.settings import RegistrySettings


@dataclass(frozen=True)
class AppOptions:
    """What a run is asked for, over what the configuration says.

    Attributes:
        config: Files to read; None looks in the default places.
        text: The configuration itself, instead of files.
        data_dir: Where queue, state, history and reports are; None uses ``$SCANGUARD_DATA_DIR`` or the user's folder.
        offline: No network beyond the registry that holds the image.
        scanners: Instances, or plugins, that replace every chain's scanners.
        platform: Platform of images whose deployment does not say.
        insecure_registries: Registries to speak plain http with.
        environ: The environment.
    """

    config: tuple[Path, ...] | None = None
    text: ConfigText | None = None
    data_dir: Path | None = None
    offline: bool = False
    scanners: tuple[str, ...] = ()
    platform: Platform | None = None
    insecure_registries: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


@dataclass(frozen=True)
class LoadedApp:
    """A configuration that can be used, and the plugins that it names."""

    options: AppOptions
    plugins: Plugins
    bound: Bound
    registries: RegistrySettings

    @cached_property
    def intake(self) -> Intake:
        """Takes events in."""
        settings = self.bound.settings
        return Intake(self.plugins, settings.exclude, settings.ignore_actors)


def load(options: AppOptions, plugins: Plugins | None = None) -> LoadedApp:
    """Read the configuration and load what it names, doing no other I/O.

    Args:
        options: What is asked for.
        plugins: Those that were loaded before, if they were.

    Errors:
        ConfigError, PluginError: before any work, with everything that is wrong.
    """
    plugins = plugins or load_plugins(options.environ)
    loaded = load_settings(options.text or options.config, options.environ)
    bound = bind(loaded, plugins.catalog, plugins.problem)
    return LoadedApp(options, plugins, bound, _registries(loaded.settings.registries, options))


def _registries(settings: RegistrySettings, options: AppOptions) -> RegistrySettings:
    try:
        settings = settings.with_insecure(options.insecure_registries)
    except ValueError as exc:
        raise ConfigError(f"--insecure-registry: {exc}") from exc
    return settings if options.platform is None else settings.model_copy(update={"default_platform": options.platform})
