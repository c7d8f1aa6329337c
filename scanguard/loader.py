"""Finds, guards and loads plugins; the only caller of their hooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scanguard.hooks import Catalog


@dataclass(frozen=True)
class Plugins:
    """Placeholder until the loader lands."""

    plugins: tuple[Any, ...]
    catalog: Catalog


def load_plugins(environ: Mapping[str, str]) -> Plugins:
    """Placeholder until the loader lands: nothing is installed."""
    return Plugins((), Catalog({}, {}, {}, {}, {}, {}, {}, {}, {}))
