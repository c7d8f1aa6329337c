"""Finds, guards and loads plugins; the only caller of their hooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scanguard.hooks import Catalog


@dataclass(frozen=True)
class PluginInfo:
    """Placeholder until the loader lands."""

    name: str
    kinds: tuple[str, ...] = ()
    version: str = ""
    distribution: str = ""
    api_version: int | None = None
    status: str = "loaded"
    error: str = ""


@dataclass(frozen=True)
class Plugins:
    """Placeholder until the loader lands."""

    plugins: tuple[PluginInfo, ...]
    catalog: Catalog


def load_plugins(environ: Mapping[str, str]) -> Plugins:
    """Placeholder until the loader lands: nothing is installed."""
    return Plugins((), Catalog({}, {}, {}, {}, {}, {}, {}, {}, {}))
