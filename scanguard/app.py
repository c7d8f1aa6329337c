"""The composition root."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from scanguard.model.image import Platform


@dataclass(frozen=True)
class AppOptions:
    """What a run is asked for."""

    config: tuple[Path, ...] | None = None
    data_dir: Path | None = None
    offline: bool = False
    scanners: tuple[str, ...] = ()
    platform: Platform | None = None
    insecure_registries: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


@dataclass(frozen=True)
class Accepted:
    """What became of a payload."""

    ids: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """One step."""

    assessment: str
    image: str
    instance: str
    phase: str
    detail: str = ""


class App:
    """Placeholder until the application lands."""

    @classmethod
    def load(cls, options: AppOptions) -> NoReturn:
        """Load."""
        raise NotImplementedError
