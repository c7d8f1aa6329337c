"""What the global options say, for every command (``ctx.obj``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scanguard.app import AppOptions
    from scanguard.cli.application import Application
    from scanguard.hooks import Catalog, PluginContext
    from scanguard.loader import Plugins
    from scanguard.model.image import Platform


def _open_app(options: AppOptions) -> Application:
    from scanguard.app import App

    return App.load(options)


def _load_plugins(environ: Mapping[str, str]) -> Plugins:
    from scanguard.loader import load_plugins

    return load_plugins(environ)


@dataclass
class CliContext:
    """Global options, and the ways into the application, which tests replace.

    Attributes:
        config_paths: The files given with ``--config``; None looks in the default places.
        data_dir: The folder given with ``--data-dir``; None uses the default one.
    """

    config_paths: tuple[Path, ...] | None = None
    data_dir: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    open_app: Callable[[AppOptions], Application] = _open_app
    load_plugins: Callable[[Mapping[str, str]], Plugins] = _load_plugins
    _plugins: Plugins | None = None

    def plugins(self) -> Plugins:
        """Installed plugins, loaded once, without reading any configuration."""
        if self._plugins is None:
            self._plugins = self.load_plugins(self.environ)
        return self._plugins

    def catalog(self) -> Catalog:
        """Every record that loaded plugins offer."""
        return self.plugins().catalog

    def plugin_context(self, name: str) -> PluginContext:
        """What the command of this name gets; raises ConfigError when the configuration cannot be used."""
        return self.load().plugin_context(name)

    def load(
        self,
        *,
        offline: bool = False,
        scanners: tuple[str, ...] = (),
        platform: Platform | None = None,
        insecure_registries: tuple[str, ...] = (),
    ) -> Application:
        """Read the configuration and load what it names; raises ConfigError and PluginError."""
        from scanguard.app import AppOptions

        return self.open_app(
            AppOptions(
                config=self.config_paths,
                data_dir=self.data_dir,
                offline=offline,
                scanners=scanners,
                platform=platform,
                insecure_registries=insecure_registries,
                environ=self.environ,
            )
        )
