"""Which distributions this repository holds."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Member:
    """A distribution: its folder and its pyproject."""

    folder: Path
    pyproject: dict[str, Any]

    @property
    def name(self) -> str:
        """The distribution's name, with dashes."""
        return str(self.pyproject["project"]["name"])

    @property
    def version(self) -> str:
        """Its version."""
        return str(self.pyproject["project"]["version"])

    @property
    def package(self) -> str:
        """The package it installs."""
        return self.name.replace("-", "_")


def members() -> list[Member]:
    """The core first, then one for each folder under ``plugins`` and ``adapters`` that has a pyproject."""
    folders = [
        ROOT,
        *sorted(path.parent for top in ("plugins", "adapters") for path in ROOT.glob(f"{top}/*/pyproject.toml")),
    ]
    return [
        Member(folder, tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))) for folder in folders
    ]
